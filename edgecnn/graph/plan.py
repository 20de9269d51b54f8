"""Which nodes run on integers and which tensors get a range: decided once, read by every pass."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from onnx import ModelProto, NodeProto, TensorProto

from edgecnn.errors import GraphError, UsageError
from edgecnn.graph.fold import channel_axis
from edgecnn.graph.targets import Target
from edgecnn.graph.wiring import Wiring, attribute, wiring

Limits = tuple[float, float]

LAYER_OPS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer with weights that runs on integers, by the names of its tensors."""

    name: str
    op_type: str
    input: str
    weight: str
    bias: str | None
    output: str
    """After the activation function that the layer absorbs."""
    axis: int
    """The axis of the weight that counts output channels."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a folded model is quantized for a target, without any number in it."""

    layers: tuple[Layer, ...]
    integer_nodes: frozenset[str]
    """Names of all nodes that run on integers."""
    absorbed: Mapping[str, str]
    """Node name -> the output of the Relu or Clip after it: saturation does that one's work."""
    dropped: frozenset[str]
    """Names of those Relu and Clip nodes."""
    tensors: tuple[str, ...]
    """The activations that are quantized, in graph order."""
    shared: Mapping[str, str]
    """Tensor -> the tensor whose scale it has, for ops that only move values."""
    limits: Mapping[str, Limits]
    """What an absorbed activation function bounds a tensor to."""
    answers: frozenset[str]
    """What no layer reads any more: cutting off the largest values there costs the top class."""

    @property
    def watched(self) -> tuple[str, ...]:
        """The tensors whose range must be learnt."""
        return tuple(name for name in self.tensors if name not in self.shared)

    def float_layers(self, model: ModelProto) -> tuple[str, ...]:
        """Names of the layers with weights that stay in float."""
        integers = self.integer_nodes
        nodes = (node for node in model.graph.node if node.op_type in LAYER_OPS)
        return tuple(node.name for node in nodes if node.name not in integers)


def make_plan(model: ModelProto, target: Target, *, keep_float: Collection[str] = ()) -> Plan:
    """Decide for a folded model.

    Raises UsageError where `keep_float` names no node, GraphError where nothing can be quantized.
    """
    _check_names(model, keep_float)
    planner = _Planner(wiring(model), target, frozenset(keep_float))
    plan = planner.plan(list(model.graph.node))
    if not plan.layers:
        raise GraphError(
            "no layer can be quantized: there is no Conv or Gemm with constant weights in float32",
            hint="export a convolutional network with its weights in the file",
        )
    return plan


class _Planner:
    """The wiring and the target, so that the rules below read like rules."""

    def __init__(self, edges: Wiring, target: Target, keep_float: frozenset[str]) -> None:
        self._edges = edges
        self._target = target
        self._keep_float = keep_float
        self._integers: set[str] = set()

    def plan(self, nodes: list[NodeProto]) -> Plan:
        for node in nodes:
            if self._can_run_on_integers(node):
                self._integers.add(node.name)
        for node in reversed(nodes):
            if node.op_type in self._target.carried and not self._feeds_integers(node):
                self._integers.discard(node.name)
        chosen = [node for node in nodes if node.name in self._integers]
        absorbed = {node.name: act for node in chosen if (act := self._absorbs(node)) is not None}
        quantized = dict.fromkeys(name for node in chosen for name in self._quantized_by(node))
        return Plan(
            layers=tuple(self._layer(n) for n in chosen if n.op_type in self._target.layers),
            integer_nodes=frozenset(self._integers),
            absorbed={name: act.output[0] for name, act in absorbed.items()},
            dropped=frozenset(act.name for act in absorbed.values()),
            tensors=tuple(quantized),
            shared=self._shared(chosen),
            limits={act.output[0]: self._bounds(act) for act in absorbed.values()},
            answers=self._answers().intersection(quantized),
        )

    def _can_run_on_integers(self, node: NodeProto) -> bool:
        if node.name in self._keep_float:
            return False
        if node.op_type in self._target.layers:
            return self._is_plain_layer(node)
        if node.op_type in self._target.computed:
            computed = all(name not in self._edges.constants for name in node.input)
            return computed and any(self._from_integers(name) for name in node.input)
        return node.op_type in self._target.carried and self._from_integers(node.input[0])

    def _is_plain_layer(self, node: NodeProto) -> bool:
        constants = self._edges.constants
        if node.input[0] in constants or any(name not in constants for name in node.input[1:]):
            return False
        if constants[node.input[1]].data_type != TensorProto.FLOAT:
            return False
        if node.op_type == "Gemm" and attribute(node, "transA", 0):
            return False
        bias_fits = len(node.input) < 3 or len(self._edges.shape(node.input[2])) == 1
        return bias_fits and len(self._edges.shape(node.input[1])) >= 2

    def _from_integers(self, tensor: str) -> bool:
        """Whether a tensor leaves a node that runs on integers, an absorbed activation between."""
        producer = self._edges.producers.get(tensor)
        if producer is None:
            return False
        if producer.name in self._integers:
            return True
        behind = self._edges.producers.get(producer.input[0]) if producer.input else None
        return behind is not None and self._absorbs(behind) is producer

    def _feeds_integers(self, node: NodeProto) -> bool:
        return any(self._read_by_integers(name) for name in node.output)

    def _read_by_integers(self, tensor: str) -> bool:
        return any(node.name in self._integers for node in self._edges.consumers.get(tensor, ()))

    def _absorbs(self, node: NodeProto) -> NodeProto | None:
        """The Relu or Clip(0, ...) after a node whose work the saturation to uint8 does."""
        if node.name not in self._integers or node.op_type in self._target.carried:
            return None
        after = self._edges.only_consumer(node.output[0])
        if after is None or after.op_type not in ("Relu", "Clip") or self._bounds(after)[0] != 0:
            return None
        if self._may_stay_float(node) and not self._read_by_integers(after.output[0]):
            return None
        return after

    def _bounds(self, node: NodeProto) -> Limits:
        """What a Relu or Clip bounds its output to; infinite where that is not constant."""
        if node.op_type == "Relu":
            return 0.0, float("inf")
        low, high = float("-inf"), float("inf")
        names = [*node.input[1:], "", ""]
        if names[0] in self._edges.constants:
            low = self._edges.value(names[0]).item()
        if names[1]:
            if names[1] not in self._edges.constants:
                return float("-inf"), float("inf")
            high = self._edges.value(names[1]).item()
        return low, high

    def _may_stay_float(self, node: NodeProto) -> bool:
        return node.op_type in self._target.float_output

    def _output(self, node: NodeProto) -> str:
        absorbed = self._absorbs(node)
        return str((absorbed or node).output[0])

    def _quantized_by(self, node: NodeProto) -> Iterable[str]:
        inputs = node.input[:1] if node.op_type not in self._target.computed else node.input
        yield from inputs
        output = self._output(node)
        if self._may_stay_float(node) and not self._read_by_integers(output):
            return
        yield output
        yield from node.output[1:]

    def _layer(self, node: NodeProto) -> Layer:
        rank = len(self._edges.shape(node.input[1]))
        return Layer(
            name=node.name,
            op_type=node.op_type,
            input=node.input[0],
            weight=node.input[1],
            bias=node.input[2] if len(node.input) > 2 else None,
            output=self._output(node),
            axis=rank - 1 if node.op_type == "MatMul" else channel_axis(node),
        )

    def _answers(self) -> frozenset[str]:
        """Everything between the last layers and the outputs."""
        found: set[str] = set()
        todo = list(self._edges.outputs)
        while todo:
            name = todo.pop()
            producer = self._edges.producers.get(name)
            if producer is None or name in found:
                continue
            found.add(name)
            if producer.op_type not in LAYER_OPS:
                todo.extend(producer.input)
        return frozenset(found)

    def _shared(self, nodes: Iterable[NodeProto]) -> dict[str, str]:
        shared: dict[str, str] = {}
        for node in nodes:
            if node.op_type in self._target.carried:
                source = shared.get(node.input[0], node.input[0])
                shared.update((name, source) for name in node.output)
        return shared


def _check_names(model: ModelProto, keep_float: Collection[str]) -> None:
    names = [node.name for node in model.graph.node]
    for name in keep_float:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
            raise UsageError(
                f"there is no layer {name!r} to keep in float", hint=f"did you mean {near[0]!r}?"
            )
