"""From FP32 to FP16 inside the ONNX file, so that no engine has to decide anything.

Every tensor says its type (strongly typed): weights and activations become float16, inputs and
outputs stay float32 behind casts. What would overflow on real images, what loses its weights and
what integers do anyway stays in float32. The scales of Q and DQ are never touched: ONNX Runtime
computes wrong numbers from float16 scales on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgecnn.errors import GraphError, UsageError
from edgecnn.graph.extremes import Extremes, find_extremes
from edgecnn.graph.fold import fold
from edgecnn.graph.load import load_onnx, modernize
from edgecnn.graph.model_io import copied, infer_shapes
from edgecnn.graph.normal import read_model
from edgecnn.graph.opset import in_opset_17
from edgecnn.graph.parity import Parity, compare
from edgecnn.graph.rounded import rounded
from edgecnn.graph.session import Session
from edgecnn.graph.split import Images, Split
from edgecnn.graph.wiring import Wiring, drop_unused, put_constant, set_nodes, wiring

LARGEST = float(np.finfo(np.float16).max)
SMALLEST = float(np.finfo(np.float16).smallest_normal)
MARGIN = 4.0
"""How many times larger than anything seen an activation may become before it overflows."""

# Exponentials and sums of squares leave the range of float16 on the way to a small result.
_FLOAT_OPS = frozenset({
    "Exp", "InstanceNormalization", "LayerNormalization", "Log", "LogSoftmax", "LpNormalization",
    "NonMaxSuppression", "Pow", "Reciprocal", "ReduceL2", "ReduceLogSumExp", "ReduceSumSquare",
    "Softmax", "Softplus",
})  # fmt: skip
_SCALES = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"})
_SUMS = frozenset({"AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum"})
_LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_BIAS = 2  # which input of a layer it is
_FLOAT_INPUTS: Mapping[str, tuple[int, ...]] = {"Resize": (1, 2), "Upsample": (1,)}


@dataclass(frozen=True, slots=True)
class Kept:
    """A layer that stays in float32, and why."""

    layer: str
    reason: str
    for_range: bool = True
    """False where it computes no floats, or integers do it: FP16 is no question there."""


@dataclass(frozen=True, slots=True)
class Halved:
    """An FP16 model, how many layers are in FP16, which are not, and how near it is to FP32.

    `parity` is that of the model as a GPU rounds it, which ONNX Runtime on a CPU does not.
    """

    model: ModelProto
    layers: int
    kept: tuple[Kept, ...]
    parity: Parity

    @property
    def kept_for_range(self) -> tuple[Kept, ...]:
        """Those that could be FP16 but for their range."""
        return tuple(one for one in self.kept if one.for_range)


def halve_model(
    source: Path | ModelProto,
    calibration: Images,
    *,
    held_out: Images | None = None,
    keep_float: Collection[str] = (),
    threads: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Halved:
    """Convert an FP32 or INT8 ONNX model to FP16 where its values allow it.

    `calibration` gives the images to look for overflow on, `held_out` those to compare by; without
    it every fifth calibration image is kept aside. Raises ModelError or GraphError where the model
    cannot be read, UsageError for an unknown layer in `keep_float`, DataError for missing images,
    ParityError where the FP16 model answers NaN.
    """
    model = _readable(source)
    images = Split(calibration, held_out)
    floats = _float_tensors(model)
    seen = find_extremes(model, sorted(floats), images.fit(), threads=threads, progress=progress)
    kept = _kept(model, floats, seen, keep_float)
    layers = len(model.graph.node)
    _Converter(model, floats, {one.layer for one in kept}).convert()
    judges = list(images.kept_aside())
    expected, given = Session(source, threads=threads), Session(rounded(model), threads=threads)
    parity = compare(map(expected.run, judges), map(given.run, judges))
    return Halved(model, layers - len(kept), kept, parity)


def _readable(source: Path | ModelProto) -> ModelProto:
    """A model with its types inferred; a float one folded, so that batch norms cannot overflow.

    In opset 17 where that has the words: it is for GPUs, and TensorRT 8.6 reads no newer one.
    """
    model = modernize(load_onnx(source)) if isinstance(source, Path) else copied(source)
    model = in_opset_17(model)
    if any(node.op_type in _SCALES for node in model.graph.node):
        for index, node in enumerate(model.graph.node):
            node.name = node.name or f"{node.op_type}_{index}"
        model = infer_shapes(model)
    else:
        model = fold(read_model(model))
    if any(tensor.data_type == TensorProto.FLOAT16 for tensor in model.graph.initializer):
        raise GraphError("the model is in FP16 already", hint="give the FP32 model")
    return model


def _float_tensors(model: ModelProto) -> frozenset[str]:
    """Every computed or given float32 tensor, weights not among them."""
    graph = model.graph
    computed = {name for node in graph.node for name in node.output}
    computed.update(info.name for info in graph.input)
    infos = (*graph.input, *graph.value_info, *graph.output)
    is_float = {info.name for info in infos if info.type.tensor_type.elem_type == TensorProto.FLOAT}
    return frozenset(computed & is_float)


def _kept(
    model: ModelProto, floats: Collection[str], seen: Mapping[str, Extremes], asked: Collection[str]
) -> tuple[Kept, ...]:
    names = {node.name for node in model.graph.node}
    if unknown := sorted(set(asked) - names):
        raise UsageError(f"there is no layer {unknown[0]!r}", hint="see: edgecnn inspect FILE")
    edges = wiring(model)
    found = []
    for node in model.graph.node:
        other = _by_kind(node, floats, edges)
        if other is not None:
            found.append(Kept(node.name, other, for_range=False))
            continue
        reason = "as asked" if node.name in asked else _by_op(node)
        reason = reason or _by_weights(node, edges) or _by_values(node, floats, seen)
        if reason is not None:
            found.append(Kept(node.name, reason))
    return tuple(found)


def _by_op(node: NodeProto) -> str | None:
    if node.op_type in _FLOAT_OPS:
        return f"{node.op_type} needs the range of float32"
    return None


def _by_kind(node: NodeProto, floats: Collection[str], edges: Wiring) -> str | None:
    sources = [name for name in node.input if name in floats]
    if node.op_type in _SCALES or _is_integer(node, sources, edges):
        return "INT8"
    if not sources or not set(floats).intersection(node.output):
        return "it computes no floats"
    return None


def _is_integer(node: NodeProto, sources: Collection[str], edges: Wiring) -> bool:
    """Whether engines make INT8 of a node: all it reads comes from DQ, and so do its weights."""
    producers = [edges.producers.get(name) for name in sources]
    if not producers or not all(one and one.op_type == "DequantizeLinear" for one in producers):
        return False
    if node.op_type in _LAYERS:
        return node.input[1] in sources
    readers = [reader for name in node.output for reader in edges.consumers.get(name, ())]
    return bool(readers) and all(reader.op_type == "QuantizeLinear" for reader in readers)


def _by_weights(node: NodeProto, edges: Wiring) -> str | None:
    if node.op_type == "Clip":
        return None  # its bounds may be infinite: they are cut to what there is
    for index, name in enumerate(node.input):
        tensor = edges.constants.get(name)
        if tensor is None or tensor.data_type != TensorProto.FLOAT:
            continue
        if index in _FLOAT_INPUTS.get(node.op_type, ()):
            continue
        largest = float(np.abs(numpy_helper.to_array(tensor)).max(initial=0))
        is_bias = index == _BIAS and node.op_type in _LAYERS  # a tiny one may well become zero
        if largest > LARGEST or (0 < largest < SMALLEST and not is_bias):
            return f"weights of {largest:.1e}: outside of float16"
    return None


def _by_values(
    node: NodeProto, floats: Collection[str], seen: Mapping[str, Extremes]
) -> str | None:
    names = [name for name in (*node.input, *node.output) if name in floats]
    largest = max((seen[name].largest for name in names), default=0.0)
    if node.op_type in _SUMS:
        # The sum comes before the division, whatever the mean is.
        terms = seen[node.input[0]].elements / max(seen[node.output[0]].elements, 1)
        largest = max(largest, seen[node.output[0]].largest * terms)
    if largest * MARGIN > LARGEST:
        return f"values up to {largest:.1e}: near the end of float16"
    return None


class _Converter:
    """Rewrites a graph in place: each tensor as float16, as float32 or, where needed, as both."""

    def __init__(self, model: ModelProto, floats: Collection[str], kept: Collection[str]) -> None:
        self._model, self._floats, self._kept = model, floats, kept
        self._constants = wiring(model).constants
        self._outputs = {info.name for info in model.graph.output}
        self._taken = {name for node in model.graph.node for name in node.output}
        self._taken.update(self._constants)
        self._half: dict[str, str] = {}
        self._full: dict[str, str] = {info.name: info.name for info in model.graph.input}
        self._nodes: list[NodeProto] = []

    def convert(self) -> None:
        """Do it, and infer the types anew."""
        for node in list(self._model.graph.node):
            self._convert(node, is_half=node.name not in self._kept)
        set_nodes(self._model, self._nodes)
        drop_unused(self._model)
        infer_shapes(self._model)

    def _convert(self, node: NodeProto, *, is_half: bool) -> None:
        for index, name in enumerate(node.input):
            stays_float = index in _FLOAT_INPUTS.get(node.op_type, ())
            if name in self._floats:
                node.input[index] = self._as_half(name) if is_half else self._as_full(name)
            elif is_half and not stays_float and self._is_float_constant(name):
                node.input[index] = self._half_constant(name, cut=node.op_type == "Clip")
        self._nodes.append(node)
        for index, name in enumerate(node.output):
            if name not in self._floats:
                continue
            if not is_half:
                self._full[name] = name
            elif name not in self._outputs:
                self._half[name] = name
            else:  # the graph's outputs keep their names and their type
                self._half[name] = self._new(name, "fp16")
                node.output[index] = self._half[name]
                self._full[name] = name
                self._nodes.append(_cast(self._half[name], name, TensorProto.FLOAT))

    def _as_half(self, name: str) -> str:
        if name not in self._half:
            self._half[name] = self._new(name, "fp16")
            self._nodes.append(_cast(self._full[name], self._half[name], TensorProto.FLOAT16))
        return self._half[name]

    def _as_full(self, name: str) -> str:
        if name not in self._full:
            self._full[name] = self._new(name, "fp32")
            self._nodes.append(_cast(self._half[name], self._full[name], TensorProto.FLOAT))
        return self._full[name]

    def _is_float_constant(self, name: str) -> bool:
        tensor = self._constants.get(name)
        return tensor is not None and tensor.data_type == TensorProto.FLOAT

    def _half_constant(self, name: str, *, cut: bool) -> str:
        value = numpy_helper.to_array(self._constants[name])
        if cut:
            value = np.clip(value, -LARGEST, LARGEST)
        converted = self._new(name, "fp16")
        put_constant(self._model, converted, value.astype(np.float16))
        return converted

    def _new(self, name: str, suffix: str) -> str:
        name = f"{name}_{suffix}"
        while name in self._taken:
            name = f"{name}_"
        self._taken.add(name)
        return name


def _cast(source: str, target: str, kind: int) -> NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"cast_{target}", to=kind)
