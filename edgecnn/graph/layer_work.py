"""What each layer of an engine has to do: its multiply-adds, and the values that it moves.

An engine's layer stands for several nodes of the file. What passes between these stays inside;
what comes in, what goes out and the weights are moved, each once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from onnx import ModelProto, NodeProto

from edgecnn.graph.sizes import Sizes
from edgecnn.graph.work import node_macs

_SCALING = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True, slots=True)
class LayerWork:
    """The work of one layer in one run; None where shapes are open."""

    macs: int | None
    values: int | None


def work_of_layers(
    model: ModelProto, layers: Sequence[Sequence[NodeProto]], *, batch: int = 1
) -> tuple[LayerWork, ...]:
    """The work of layers that stand for these nodes of a model, which gets its shapes.

    `batch` is how many images a run takes. A layer of no nodes has no work that is known. Raises
    GraphError where shapes do not fit.
    """
    graph = _Graph(model, Sizes(model, batch=batch))
    return tuple(graph.work(nodes) for nodes in layers)


class _Graph:
    """A graph without its Q and DQ: a tensor stands for all that it is scaled into."""

    def __init__(self, model: ModelProto, sizes: Sizes) -> None:
        self._sizes = sizes
        self._constants = {tensor.name for tensor in model.graph.initializer}
        self._sources: dict[str, str] = {}
        self._readers: dict[str, list[NodeProto]] = {}
        self._outputs = set[str]()
        for node in model.graph.node:
            if node.op_type in _SCALING:
                self._sources[node.output[0]] = self._source(node.input[0])
                continue
            for name in dict.fromkeys(self._inputs(node)):
                self._readers.setdefault(name, []).append(node)
        self._outputs = {self._source(output.name) for output in model.graph.output}

    def work(self, nodes: Sequence[NodeProto]) -> LayerWork:
        """What these nodes do together."""
        if not nodes:
            return LayerWork(None, None)
        own = self._with_those_between(nodes)
        macs = _sum(node_macs(node, self._sizes) for node in own)
        return LayerWork(macs, self._moved(own))

    def _with_those_between(self, nodes: Sequence[NodeProto]) -> list[NodeProto]:
        """And the nodes that stand between them: an activation before a sum, for example."""
        own = list(nodes)
        while between := [node for node in self._after(own) if self._is_between(node, own)]:
            own += between
        return own

    def _after(self, own: Sequence[NodeProto]) -> list[NodeProto]:
        readers = [reader for name in _outputs(own) for reader in self._readers.get(name, ())]
        unique = {id(reader): reader for reader in readers}
        return [node for key, node in unique.items() if key not in {id(each) for each in own}]

    def _is_between(self, node: NodeProto, own: Sequence[NodeProto]) -> bool:
        inside, made = {id(each) for each in own}, set(_outputs(own))
        readers = [each for name in node.output for each in self._readers.get(name, ())]
        fed = all(name in made for name in self._inputs(node) if name not in self._constants)
        return fed and bool(readers) and all(id(reader) in inside for reader in readers)

    def _moved(self, own: Sequence[NodeProto]) -> int | None:
        made = set(_outputs(own))
        inside = {id(node) for node in own}
        read = {name for node in own for name in self._inputs(node)} - made
        given = {
            name
            for name in made
            if name in self._outputs
            or not all(id(reader) in inside for reader in self._readers.get(name, ()))
        }
        return _sum(self._sizes.values(name) for name in (*read, *given))

    def _inputs(self, node: NodeProto) -> Iterator[str]:
        """What a node reads, before it was scaled."""
        return (self._source(name) for name in node.input if name)

    def _source(self, name: str) -> str:
        return self._sources.get(name, name)


def _sum(counts: Iterable[int | None]) -> int | None:
    """All together; None where one of them is not known."""
    given = tuple(counts)
    known = [count for count in given if count is not None]
    return sum(known) if len(known) == len(given) else None


def _outputs(nodes: Sequence[NodeProto]) -> Iterator[str]:
    return (name for node in nodes for name in node.output if name)
