"""Running the first part of a quantized graph on many images, again and again, in bounded memory.

Sequential passes look at one layer after another and change it. What lies before the narrowest
place behind them never changes again, so its integers are kept for each image instead of the image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from onnx import ModelProto, TensorProto

from edgecnn.graph.qdq import is_quantized_name, quantized_name
from edgecnn.graph.session import Array, Session
from edgecnn.graph.wiring import submodel, wiring

MAX_KEPT_BYTES = 96 << 20


class Prefix:
    """Some images at the furthest place that was reached in a quantized model.

    The model may be changed behind the tensors that `run` was asked for, never before them.
    """

    def __init__(self, model: ModelProto, images: Iterable[Array], *, threads: int = 0) -> None:
        self.model = model
        self._threads = threads
        self._order = {
            name: index for index, node in enumerate(model.graph.node) for name in node.output
        }
        self._narrow = [name for name in narrow_places(model) if is_quantized_name(name)]
        self._place = model.graph.input[0].name
        integers = quantized_name(self._place)
        if self._narrow[:1] == [integers]:
            session = self._session(self._narrow.pop(0))
            self._kept = [session.run(image)[0] for image in images]
            self._place = integers
        else:
            self._kept = list(images)

    def __len__(self) -> int:
        return len(self._kept)

    def run(self, tensor: str) -> Iterator[Array]:
        """The value of a tensor for each image, with the model as it is now."""
        while self._narrow and self._order[self._narrow[0]] < self._order[tensor]:
            self._move(self._narrow.pop(0))
        if tensor == self._place:
            yield from self._kept
            return
        session = self._session(tensor)
        for value in self._kept:
            yield session.run(value)[0]

    def _move(self, place: str) -> None:
        """Keep the integers of this place from now on, unless they would take too much memory."""
        session = self._session(place)
        first = session.run(self._kept[0])[0]
        if first.nbytes * len(self._kept) <= MAX_KEPT_BYTES:
            for index, value in enumerate(self._kept):
                self._kept[index] = session.run(value)[0]
            self._place = place

    def _session(self, tensor: str) -> Session:
        kinds = {name: self._kind(name) for name in (self._place, tensor)}
        part = submodel(self.model, {self._place: kinds[self._place]}, {tensor: kinds[tensor]})
        return Session(part, threads=self._threads)

    def _kind(self, tensor: str) -> int:
        """The element type of a tensor, which for integers is that of their zero point."""
        if not is_quantized_name(tensor):
            return TensorProto.FLOAT
        zero_point = tensor.removesuffix(quantized_name("")) + "_zero_point"
        return wiring(self.model).constants[zero_point].data_type


def narrow_places(model: ModelProto) -> list[str]:
    """The tensors, in graph order, that alone carry everything that comes after them."""
    constants = {tensor.name for tensor in model.graph.initializer}
    last_read = {name: index for index, node in enumerate(model.graph.node) for name in node.input}
    last_read.update({output.name: len(model.graph.node) for output in model.graph.output})
    alive: set[str] = {model.graph.input[0].name}
    places: list[str] = []
    for index, node in enumerate(model.graph.node):
        if constants.issuperset(node.input):
            constants.update(node.output)
            continue
        alive = {name for name in (*alive, *node.output) if last_read.get(name, -1) > index}
        if len(alive) == 1 and alive.issubset(node.output):
            places.extend(alive)
    return places
