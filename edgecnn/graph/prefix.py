"""Running the first part of a quantized graph on many images, again and again, in bounded memory.

Sequential passes look at one layer after another and change it. What lies before the last cut
through integers never changes again, so the integers there are kept for each image instead of the
image: each part of the network runs a few times, whatever the number of layers behind it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from onnx import ModelProto, TensorProto

from edgecnn.graph.qdq import is_quantized_name, quantized_name
from edgecnn.graph.session import Array, Session
from edgecnn.graph.wiring import submodel, wiring

MAX_KEPT_BYTES = 96 << 20


@dataclass(frozen=True, slots=True)
class Cut:
    """Integers that carry everything that comes behind the node number `after`."""

    after: int
    tensors: tuple[str, ...]


class Prefix:
    """Some images at the furthest cut that was reached in a quantized model.

    The constants of `model`, whose edges are `edges`, may be changed behind the tensors that `run`
    was asked for, never before them.
    """

    def __init__(self, model: ModelProto, images: Iterable[Array], *, threads: int = 0) -> None:
        self.model = model
        self.edges = wiring(model)
        self._threads = threads
        self._order = {
            name: index for index, node in enumerate(model.graph.node) for name in node.output
        }
        self._cuts = find_cuts(model)
        image = model.graph.input[0].name
        self._place: tuple[str, ...] = (image,)
        integers = (quantized_name(image),)
        if self._cuts and self._cuts[0].tensors == integers:
            session = self._session(self._cuts.pop(0).tensors)
            self._kept = [{integers[0]: session.run(values)[0]} for values in images]
            self._place = integers
        else:
            self._kept = [{image: values} for values in images]

    def __len__(self) -> int:
        return len(self._kept)

    def run(self, tensor: str) -> Iterator[Array]:
        """The value of a tensor for each image, with the model as it is now."""
        self._advance(self._order[tensor])
        if tensor in self._place:
            yield from [values[tensor] for values in self._kept]
            return
        session = self._session([tensor])
        for values in self._kept:
            yield session.feed(values)[0]

    def _advance(self, node: int) -> None:
        """Go to the last cut before a node whose integers do not take too much memory."""
        passed = [cut.tensors for cut in self._cuts if cut.after < node]
        del self._cuts[: len(passed)]
        for cut in reversed(passed):
            if self._moves_to(cut):
                return

    def _moves_to(self, cut: tuple[str, ...]) -> bool:
        new = [name for name in cut if name not in self._place]
        session = self._session(new)

        def further(values: dict[str, Array]) -> dict[str, Array]:
            known = values | dict(zip(new, session.feed(values), strict=True))
            return {name: known[name] for name in cut}

        size = sum(values.nbytes for values in further(self._kept[0]).values())
        if size * len(self) > MAX_KEPT_BYTES:
            return False
        for index, values in enumerate(self._kept):
            self._kept[index] = further(values)
        self._place = cut
        return True

    def _session(self, tensors: Collection[str]) -> Session:
        inputs, outputs = (
            {name: self._kind(name) for name in names} for names in (self._place, tensors)
        )
        return Session(submodel(self.model, inputs, outputs), threads=self._threads)

    def _kind(self, tensor: str) -> int:
        """The element type of a tensor, which for integers is that of their zero point."""
        if not is_quantized_name(tensor):
            return TensorProto.FLOAT
        zero_point = tensor.removesuffix(quantized_name("")) + "_zero_point"
        return self.edges.constants[zero_point].data_type


def find_cuts(model: ModelProto) -> list[Cut]:
    """Every place of a quantized model, in graph order, that only integers cross."""
    nodes = model.graph.node
    constants = {tensor.name for tensor in model.graph.initializer}
    # Who reads what a DequantizeLinear gives could as well read its integers.
    integers = {
        node.output[0]: node.input[0]
        for node in nodes
        if node.op_type == "DequantizeLinear" and node.input[0] not in constants
    }
    last_read = {
        integers.get(name, name): index for index, node in enumerate(nodes) for name in node.input
    }
    last_read |= {integers.get(item.name, item.name): len(nodes) for item in model.graph.output}
    alive = [model.graph.input[0].name]
    cuts: list[Cut] = []
    for index, node in enumerate(nodes):
        if constants.issuperset(node.input):
            constants.update(node.output)
        elif node.output[0] not in integers:
            made = [name for name in node.output if last_read.get(name, -1) > index]
            alive = [name for name in alive if last_read[name] > index] + made
            if made and all(map(is_quantized_name, alive)):
                cuts.append(Cut(index, tuple(alive)))
    return cuts
