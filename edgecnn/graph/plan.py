"""Which nodes run on integers and which tensors get a range: decided once, read by every pass."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from onnx import ModelProto, NodeProto, TensorProto

from edgecnn.errors import GraphError
from edgecnn.graph.activation import FUNCTIONS, Limits, bounds, bounds_behind, bounds_of
from edgecnn.graph.fold import channel_axis
from edgecnn.graph.integers import INT8, UINT8, Integers
from edgecnn.graph.names import check_names
from edgecnn.graph.sharing import find_shared, unevenly_bounded
from edgecnn.graph.shift import find_shifted, is_unpadded
from edgecnn.graph.stem import find_stem, stem_output
from edgecnn.graph.targets import Target
from edgecnn.graph.wiring import Wiring, attribute, wiring

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
    """Node name -> the output of the Relu or Clip after it that saturation makes superfluous."""
    dropped: frozenset[str]
    """Names of those Relu and Clip nodes."""
    tensors: tuple[str, ...]
    """The activations that are quantized, in graph order."""
    shared: Mapping[str, str]
    """Tensor -> the tensor whose scale it has, for ops that only move values."""
    limits: Mapping[str, Limits]
    """What the activation function of a layer or a sum bounds a tensor to."""
    answers: frozenset[str]
    """What no layer reads any more: cutting off the largest values there costs the top class."""
    stem: Layer | None = None
    """The first layer where it stays in float since it is faster so: its channels may be scaled."""
    shifted: frozenset[str] = frozenset()
    """Tensors stored less a constant, so that zero point 0 wastes no negative half on them."""
    activations: Integers = UINT8

    @property
    def watched(self) -> tuple[str, ...]:
        """The tensors whose range must be learnt."""
        return tuple(name for name in self.tensors if name not in self.shared)

    def integers_of(self, tensor: str) -> Integers:
        """The integers that hold a tensor; of a shifted one, before the shift makes them signed."""
        return INT8 if tensor in self.shifted else self.activations

    def float_layers(self, model: ModelProto) -> tuple[str, ...]:
        """Names of the layers with weights that stay in float."""
        integers = self.integer_nodes
        nodes = (node for node in model.graph.node if node.op_type in LAYER_OPS)
        return tuple(node.name for node in nodes if node.name not in integers)


def make_plan(model: ModelProto, target: Target, *, keep_float: Collection[str] = ()) -> Plan:
    """Decide for a folded model.

    Raises UsageError where `keep_float` names no node, GraphError where nothing can be quantized.
    """
    check_names(model, keep_float)
    planner = _Planner(wiring(model), target, frozenset(keep_float))
    plan = planner.plan(list(model.graph.node))
    if not plan.layers and target.float_stem:
        return make_plan(model, replace(target, float_stem=False), keep_float=keep_float)
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
        self._nodes: dict[str, NodeProto] = {}
        self._integers: set[str] = set()

    def plan(self, nodes: list[NodeProto]) -> Plan:
        self._nodes = {node.name: node for node in nodes}
        stem = find_stem(nodes, self._edges, self._target)
        for node in nodes:
            if node is not stem and self._can_run_on_integers(node):
                self._integers.add(node.name)
        for node in reversed(nodes):
            if self._is_idle(node):
                self._integers.discard(node.name)
        chosen = [node for node in nodes if node.name in self._integers]
        functions = {node.name: act for node in chosen if (act := self._function_of(node))}
        layers = tuple(self._layer(n) for n in chosen if n.op_type in self._target.layers)
        shared = find_shared(chosen, carried=self._target.carried, joined=self._joined)
        shifted = self._shifted(layers, functions, shared) if self._target.shifts else frozenset()
        if self._target.activations.symmetric:
            dropped = {k: act for k, act in functions.items() if act.output[0] in shifted}
        else:
            dropped = functions
        first = self._stem(stem) if stem else None
        bounded = [act.output[0] for act in functions.values()] + ([first.output] if first else [])
        quantized = dict.fromkeys(name for node in chosen for name in self._quantized_by(node))
        return Plan(
            layers=layers,
            integer_nodes=frozenset(self._integers),
            absorbed={name: act.output[0] for name, act in dropped.items()},
            dropped=frozenset(act.name for act in dropped.values()),
            tensors=tuple(quantized),
            shared=shared,
            limits={name: found for name in bounded if (found := bounds_of(name, self._edges))},
            answers=self._answers().intersection(quantized),
            stem=first,
            shifted=shifted,
            activations=self._target.activations,
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
        return behind is not None and self._function_after(behind) is producer

    def _is_idle(self, node: NodeProto) -> bool:
        """Whether a node would run on integers for nobody's sake."""
        if node.op_type not in self._target.carried and not (
            node.op_type in self._target.computed and self._may_stay_float(node)
        ):
            return False
        outputs = (self._output(node), *node.output[1:])
        return not any(self._read_by_integers(name) for name in outputs)

    def _read_by_integers(self, tensor: str) -> bool:
        return any(
            node.name in self._integers and tensor in self._integer_inputs(node)
            for node in self._edges.consumers.get(tensor, ())
        )

    def _integer_inputs(self, node: NodeProto) -> list[str]:
        if node.op_type not in self._target.computed:
            return list(node.input[:1])
        fused = self._summand(node) if self._target.fuses_sums else None
        return [name for name in node.input if name != fused]

    def _summand(self, node: NodeProto) -> str | None:
        """The input of an Add that the layer which makes it adds to the other by itself."""
        for name in node.input if node.op_type == "Add" else ():
            producer = self._edges.producers.get(name)
            if (
                producer is not None
                and producer.op_type == "Conv"
                and producer.name in self._integers
                and self._edges.only_consumer(name) is node
            ):
                return str(name)
        return None

    def _function_of(self, node: NodeProto) -> NodeProto | None:
        """The Relu or Clip(0, ...) after a node, which the node's integers make part of it."""
        after = self._function_after(node)
        if after is None or not self._may_stay_float(node):
            return after
        return after if self._read_by_integers(after.output[0]) else None

    def _function_after(self, node: NodeProto) -> NodeProto | None:
        if node.name not in self._integers or node.op_type in self._target.carried:
            return None
        after = self._edges.only_consumer(node.output[0])
        if after is None or after.op_type not in FUNCTIONS:
            return None
        return after if bounds(after, self._edges)[0] == 0 else None

    def _may_stay_float(self, node: NodeProto) -> bool:
        return node.op_type in self._target.float_output

    def _output(self, node: NodeProto) -> str:
        return str((self._function_of(node) or node).output[0])

    def _quantized_by(self, node: NodeProto) -> Iterable[str]:
        yield from self._integer_inputs(node)
        output = self._output(node)
        if self._may_stay_float(node) and not self._read_by_integers(output):
            return
        yield output
        yield from node.output[1:]

    def _stem(self, node: NodeProto) -> Layer:
        return replace(self._layer(node), output=stem_output(node, self._edges))

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

    def _joined(self, concat: NodeProto) -> list[str]:
        """The inputs of a Concat that have the scale of its output.

        All of them where the engine wants that. Elsewhere those that are made for it alone: they
        would be rounded to its steps anyway, after they were rounded to their own.
        """
        if self._function_of(concat) is not None:
            return []
        if self._target.equal_scales:
            return list(concat.input)
        moves = self._target.carried
        # An activation function that is absorbed lives on in the saturation: where the bounds
        # differ, a common range would lose one of them.
        limits = {bounds_behind(name, self._edges, carried=moves) for name in concat.input}
        alike = len(limits) == 1
        return [name for name in concat.input if alike and self._is_made_for(concat, name)]

    def _is_made_for(self, concat: NodeProto, tensor: str) -> bool:
        """Whether an integer node computes a tensor that a Concat alone reads."""
        return (
            self._edges.only_consumer(tensor) is concat
            and self._from_integers(tensor)
            and self._edges.producers[tensor].op_type not in self._target.carried
        )

    def _shifted(
        self,
        layers: Iterable[Layer],
        functions: Mapping[str, NodeProto],
        shared: Mapping[str, str],
    ) -> frozenset[str]:
        biased = [layer for layer in layers if layer.bias is not None]
        uneven = unevenly_bounded(shared, self._edges)
        moves = self._target.carried | {"Concat"}
        return find_shifted(
            self._edges,
            made={layer.output for layer in biased if layer.name in functions} - uneven,
            takers={layer.name for layer in biased if is_unpadded(self._nodes[layer.name])},
            movers={name for name in self._integers if self._nodes[name].op_type in moves},
            shared=shared,
        )
