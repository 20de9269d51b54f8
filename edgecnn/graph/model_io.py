"""What every pass asks a model for: its versions and the shapes of its tensors."""

from __future__ import annotations

import math

from onnx import ModelProto, helper, shape_inference

from edgecnn.errors import GraphError

OLDEST_OPSET = 13  # the first with a scale per channel in DequantizeLinear
NEWEST_IR = 10  # the newest that ONNX Runtime 1.18 reads

Shape = tuple[int | None, ...]
"""The sizes of a tensor; None stands for a dimension that is open."""

_SMALL_ELEMENTS = 64  # shapes and axes, which inference needs to know


def copied(model: ModelProto) -> ModelProto:
    """A copy of a model, weights and all."""
    copy = ModelProto()
    copy.CopyFrom(model)
    return copy


def drop_weight_inputs(model: ModelProto) -> None:
    """Take the weights from the inputs, where old exporters list them, in place."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [item for item in model.graph.input if item.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)


def infer_shapes(model: ModelProto) -> ModelProto:
    """The model, changed in place, with the shapes of its tensors in it; raises GraphError."""
    del model.graph.value_info[:]
    try:
        inferred = shape_inference.infer_shapes(_without_weights(model), data_prop=True)
    except (shape_inference.InferenceError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise GraphError(f"shapes do not fit: {reason}", hint="export the model again") from error
    model.graph.value_info.extend(inferred.graph.value_info)
    return model


def opset_of(model: ModelProto) -> int:
    """The version of the standard operators that a model uses."""
    versions = [item.version for item in model.opset_import if item.domain in ("", "ai.onnx")]
    return max(versions, default=0)


def shapes_of(model: ModelProto) -> dict[str, Shape]:
    """The known shapes by tensor name."""
    infos = (*model.graph.input, *model.graph.value_info, *model.graph.output)
    return {
        info.name: tuple(
            dim.dim_value if dim.HasField("dim_value") else None
            for dim in info.type.tensor_type.shape.dim
        )
        for info in infos
        if info.type.tensor_type.HasField("shape")
    }


def _without_weights(model: ModelProto) -> ModelProto:
    """The model with its large weights as inputs: shape inference copies all it is given."""
    bare = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    bare.graph.node.extend(model.graph.node)
    bare.graph.input.extend(model.graph.input)
    bare.graph.output.extend(model.graph.output)
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= _SMALL_ELEMENTS:
            bare.graph.initializer.append(tensor)
        else:
            info = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            bare.graph.input.append(info)
    return bare
