"""Which tensors may be stored less a constant, so that zero point 0 wastes no half of the integers.

What leaves a ReLU lies between 0 and some T, of which symmetric integers hold only 0..127. Stored
as x - c with c = 128 / 255 T it fills -128..127: the layer that makes it gets c off its bias, the
layers that read it get c times the sum of their weights back, and the ReLU goes, since saturation
at -128 is saturation of x at 0. It is exact where zeros are never padded in: padding stands for a
real zero, which would no longer be the integer 0.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from onnx import NodeProto

from edgecnn.graph.wiring import Wiring, attribute, integer_list

SHIFTED = "holds x - 128 * scale: the layers before and behind have it in their biases"
"""What a QuantizeLinear says of such a tensor, so that its values can be read right."""


def find_shifted(
    edges: Wiring,
    *,
    made: Collection[str],
    takers: Collection[str],
    movers: Collection[str],
    shared: Mapping[str, str],
) -> frozenset[str]:
    """The tensors to be shifted.

    `made` are the tensors from 0 upwards that layers with a bias give, `takers` the names of the
    unpadded layers with a bias, `movers` those of the nodes that only move integers, and `shared`
    says which tensors have one scale: they are shifted together or not at all.
    """
    groups: dict[str, list[str]] = {}
    for name in sorted({*made, *shared, *shared.values()}):
        groups.setdefault(shared.get(name, name), []).append(name)

    def fits(tensor: str) -> bool:
        producer = edges.producers.get(tensor)
        moved = producer is not None and producer.name in movers
        readers = edges.consumers.get(tensor, ())
        return (
            (moved or tensor in made)
            and tensor not in edges.outputs
            and all(node.name in takers or moves_on(node, tensor) for node in readers)
        )

    def moves_on(node: NodeProto, tensor: str) -> bool:
        """Whether what a node makes of a tensor has its scale, and so its shift."""
        root = shared.get(tensor, tensor)
        alike = all(shared.get(name, name) == root for name in node.output)
        return node.name in movers and alike

    return frozenset(name for group in groups.values() if all(map(fits, group)) for name in group)


def is_unpadded(layer: NodeProto) -> bool:
    """Whether a layer reads nothing but its input."""
    automatic = attribute(layer, "auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")
    return not automatic and not any(integer_list(layer, "pads"))
