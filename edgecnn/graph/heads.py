"""Where a network with several answers gives them: values too rare for statistics to find."""

from __future__ import annotations

from onnx import ModelProto

from edgecnn.graph.wiring import wiring

_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


def head_tensors(model: ModelProto) -> tuple[str, ...]:
    """The tensors from the last weighted layers to the outputs of a detector, sorted.

    On most images most of its boxes are background: a method that cuts off rare values cuts off
    the objects, so these take the whole range that was seen. A network with one output has none.
    """
    if len(model.graph.output) < 2:
        return ()
    edges = wiring(model)
    waiting = [info.name for info in model.graph.output]
    found: set[str] = set()
    while waiting:
        tensor = waiting.pop()
        producer = edges.producers.get(tensor)
        if tensor in found or producer is None:
            continue
        found.add(tensor)
        if producer.op_type not in _WEIGHTED:
            waiting.extend(producer.input)
    return tuple(sorted(found))
