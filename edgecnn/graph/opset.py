"""Between versions of ONNX's operators."""

from __future__ import annotations

import onnx
from onnx import (
    AttributeProto,
    ModelProto,
    NodeProto,
    helper,
    numpy_helper,
    shape_inference,
    version_converter,
)

from edgecnn.errors import GraphError
from edgecnn.graph.light import check
from edgecnn.graph.model_io import NEWEST_IR, copied, opset_of
from edgecnn.graph.wiring import attribute, drop_attribute, number, set_attribute

OLD_OPSET = 17
# Opset 18 moved the axes of these from an attribute to an input.
_REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
    "ReduceMin", "ReduceProd", "ReduceSumSquare",
)  # fmt: skip

_NEWER_OPSET = "export with a newer opset: --opset 18"


def lower_to_17(model: ModelProto) -> None:
    """Write a model of a newer opset in opset 17, in place; raises GraphError where it needs more.

    PyTorch's exporter knows no opset below 18, and ONNX's converter gives up on the axes of a
    ReduceMean. Beside these and attributes that say what 17 does by itself, what changed is new:
    the check finds where it is used.
    """
    opset = opset_of(model)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        _drop_new_defaults(node, opset)
        if node.op_type in _REDUCTIONS and len(node.input) > 1:
            _axes_to_attribute(node, constants)
        elif node.op_type == "Split" and (len(node.input) > 1 or _splits_evenly(model, node)):
            # Opset 17 knows no number of parts: without their sizes, they are equal.
            drop_attribute(node, "num_outputs")
    set_opset(model, OLD_OPSET)
    check(model)


def in_opset_17(model: ModelProto) -> ModelProto:
    """The model in opset 17 at most; as it is where it cannot be written so."""
    if opset_of(model) <= OLD_OPSET:
        return model
    lowered = copied(model)
    try:
        lower_to_17(lowered)
    except GraphError:
        return model
    return lowered


def _drop_new_defaults(node: NodeProto, opset: int) -> None:
    """Attributes that opset 17 does not know go where they say what it does anyway."""
    try:
        known = onnx.defs.get_schema(node.op_type, OLD_OPSET, node.domain).attributes
        stated = onnx.defs.get_schema(node.op_type, opset, node.domain).attributes
    except onnx.defs.SchemaError:
        return  # an operator that is newer, or not ONNX's own
    for item in list(node.attribute):
        if item.name not in known and item.name in stated and _is_default(item, stated[item.name]):
            drop_attribute(node, item.name)


def _is_default(item: AttributeProto, schema: onnx.defs.OpSchema.Attribute) -> bool:
    value = helper.get_attribute_value(item)
    if item.name == "dilations":  # of AveragePool: stated in words alone
        return set(value) == {1}
    default = schema.default_value
    return default.type == item.type and helper.get_attribute_value(default) == value


def _axes_to_attribute(node: NodeProto, constants: dict[str, onnx.TensorProto]) -> None:
    if node.input[1] not in constants:
        raise GraphError(f"{node.name}: reduces over axes that it computes", hint=_NEWER_OPSET)
    axes = numpy_helper.to_array(constants[node.input[1]]).ravel().tolist()
    if axes or not attribute(node, "noop_with_empty_axes", 0):
        del node.input[1:]
        drop_attribute(node, "noop_with_empty_axes")
    if axes:
        set_attribute(node, "axes", axes)


def _splits_evenly(model: ModelProto, node: NodeProto) -> bool:
    """Whether the parts have the same known size."""
    inferred = shape_inference.infer_shapes(model).graph
    axis = number(node, "axis", 0)
    sizes = [
        info.type.tensor_type.shape.dim[int(axis)].dim_value
        for info in (*inferred.value_info, *inferred.output)
        if info.name in node.output
    ]
    return len(sizes) == len(node.output) and len(set(sizes)) == 1 and sizes[0] > 0


def raise_to(model: ModelProto, opset: int) -> ModelProto:
    """The model in a newer opset; raises GraphError where ONNX's converter cannot do it."""
    try:
        return version_converter.convert_version(model, opset)
    except (version_converter.ConvertError, RuntimeError, ValueError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise GraphError(
            f"opset {opset_of(model)} cannot be raised to {opset}: {lines[0][:160]}",
            hint="export the model again with opset 13 or newer",
        ) from error


def set_opset(model: ModelProto, opset: int) -> None:
    """State the opset and the oldest IR version that allows it, which most readers know."""
    others = [item for item in model.opset_import if item.domain not in ("", "ai.onnx")]
    used = {node.domain for node in model.graph.node}
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", opset))
    model.opset_import.extend(item for item in others if item.domain in used)
    model.ir_version = min(helper.find_min_ir_version_for([model.opset_import[0]]), NEWEST_IR)
