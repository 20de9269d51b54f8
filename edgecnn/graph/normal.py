"""Any FP32 ONNX model into the one form that quantization works on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import AttributeProto, ModelProto, TensorProto, numpy_helper

from edgecnn.errors import GraphError
from edgecnn.graph.canonical import canonicalize
from edgecnn.graph.load import load_onnx, modernize
from edgecnn.graph.model_io import copied, drop_weight_inputs, infer_shapes
from edgecnn.graph.wiring import put_constant, wiring

_INTEGER_OPS = ("ConvInteger", "MatMulInteger", "QGemm", "MatMulNBits")


def read_model(source: Path | ModelProto) -> ModelProto:
    """A copy of an FP32 model in normal form.

    Opset at least 13, IR version at most 10, weights as initialisers, each with one reader, every
    node with a name of its own, shapes inferred, a global mean as GlobalAveragePool. Raises
    ModelError where it is no ONNX model, GraphError where it cannot be quantized.
    """
    model = load_onnx(source) if isinstance(source, Path) else copied(source)
    _check_graph(model)
    model = infer_shapes(modernize(model))
    canonicalize(model)
    drop_weight_inputs(model)
    _check_input(model)
    _check_weights(model)
    _unshare(model)
    _name_nodes(model)
    return infer_shapes(model)


def _check_graph(model: ModelProto) -> None:
    quantized = next((node for node in model.graph.node if _is_quantized(node.op_type)), None)
    if quantized is not None:
        raise GraphError(
            f"the model is quantized already (it has a {quantized.op_type})",
            hint="give the FP32 model that it was made from",
        )
    attributes = (item for node in model.graph.node for item in node.attribute)
    if any(item.type == AttributeProto.GRAPH for item in attributes):
        raise GraphError(
            "the model has If, Loop or Scan in it", hint="export it for fixed inputs, then simplify"
        )
    if model.functions:
        raise GraphError(
            f"the model has its own function {model.functions[0].name!r}",
            hint="inline it: onnx.inliner.inline_local_functions",
        )


def _is_quantized(op_type: str) -> bool:
    return "QuantizeLinear" in op_type or op_type.startswith("QLinear") or op_type in _INTEGER_OPS


def _check_input(model: ModelProto) -> None:
    inputs = model.graph.input
    if len(inputs) != 1:
        raise GraphError(
            f"the model has {len(inputs)} inputs; one is what can be quantized",
            hint="export the part of it that takes the image",
        )
    kind = inputs[0].type.tensor_type.elem_type
    if kind != TensorProto.FLOAT:
        raise GraphError(
            f"the model's input {inputs[0].name!r} is {TensorProto.DataType.Name(kind).lower()};"
            " float32 is what can be quantized",
            hint="export the FP32 network, without what converts the image",
        )


def _check_weights(model: ModelProto) -> None:
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        value = numpy_helper.to_array(tensor)
        # A single number may be the infinite bound of a Clip; a NaN is never meant.
        if np.isnan(value).any() or (value.size > 1 and not np.isfinite(value).all()):
            raise GraphError(
                f"weights {tensor.name!r} hold NaN or infinity", hint="train or export again"
            )


def _unshare(model: ModelProto) -> None:
    """Give every reader its own copy, so that a pass may change one layer alone."""
    constants = wiring(model).constants
    taken: set[str] = set()
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name not in constants:
                continue
            if name in taken:
                copy = f"{name}_{index}_of_{node.output[0]}"
                put_constant(model, copy, numpy_helper.to_array(constants[name]))
                node.input[index] = copy
            taken.add(name)


def _name_nodes(model: ModelProto) -> None:
    seen: set[str] = set()
    for node in model.graph.node:
        name = node.name or node.output[0]
        while name in seen:
            name = f"{name}_"
        node.name = name
        seen.add(name)
