"""One way to write what exporters write in several: the words that every engine knows best."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgecnn.graph.model_io import Shape, shapes_of
from edgecnn.graph.wiring import attribute, bypass, drop_unused, integer_list, set_nodes

_CONSTANT_KINDS = {
    "value_float": np.float32, "value_floats": np.float32,
    "value_int": np.int64, "value_ints": np.int64,
}  # fmt: skip


def canonicalize(model: ModelProto) -> None:
    """Rewrite a graph in place; it must state the shapes of its tensors.

    A mean over height and width becomes GlobalAveragePool, a Reshape to rows becomes Flatten (which
    keeps the batch open), constants become initialisers, and pools over a single pixel go.
    """
    lift_constants(model)
    shapes = shapes_of(model)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        if _is_spatial_mean(node, shapes, constants):
            nodes.extend(_pooled(node))
        elif _flattens(node, shapes, constants):
            nodes.append(_flatten(node.input[0], node.output[0], name=node.name))
            nodes[-1].metadata_props.extend(node.metadata_props)
        else:
            nodes.append(node)
    set_nodes(model, nodes)
    for node in list(model.graph.node):
        if pools_one_pixel(node):
            bypass(model, node)
    drop_unused(model)


def lift_constants(model: ModelProto) -> None:
    """Turn Constant nodes into initialisers, in place."""
    outputs = {info.name for info in model.graph.output}
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        value = _constant_value(node)
        if value is None or node.output[0] in outputs:
            nodes.append(node)
        else:
            value.name = node.output[0]
            model.graph.initializer.append(value)
    set_nodes(model, nodes)


def _constant_value(node: NodeProto) -> TensorProto | None:
    """The tensor in a Constant node, None for other nodes and for strings."""
    if node.op_type != "Constant":
        return None
    value = attribute(node, "value")
    if isinstance(value, TensorProto):
        return value
    for name, dtype in _CONSTANT_KINDS.items():
        value = attribute(node, name)
        if value is not None:
            return numpy_helper.from_array(np.asarray(value, dtype))
    return None


def pools_one_pixel(node: NodeProto) -> bool:
    """Whether a pool does nothing: adaptive pooling to the size that is there already."""
    kernel = integer_list(node, "kernel_shape")
    strides = integer_list(node, "strides", (1,) * len(kernel))
    return (
        node.op_type in ("AveragePool", "MaxPool")
        and len(node.output) == 1
        and set(kernel) == set(strides) == {1}
        and not any(integer_list(node, "pads"))
    )


def _is_spatial_mean(
    node: NodeProto, shapes: Mapping[str, Shape], constants: Mapping[str, TensorProto]
) -> bool:
    if node.op_type != "ReduceMean" or len(shapes.get(node.input[0], ())) != 4:
        return False
    axes = integer_list(node, "axes") or _integers(node, constants)
    return sorted(axis % 4 for axis in axes) == [2, 3]


def _pooled(node: NodeProto) -> list[NodeProto]:
    source, target = node.input[0], node.output[0]
    keeps_axes = bool(attribute(node, "keepdims", 1))
    pooled = target if keeps_axes else f"{target}_pooled"
    nodes = [helper.make_node("GlobalAveragePool", [source], [pooled], name=node.name)]
    if not keeps_axes:
        nodes.append(_flatten(pooled, target, name=f"{node.name}_flatten"))
    for made in nodes:
        made.metadata_props.extend(node.metadata_props)
    return nodes


def _flatten(source: str, target: str, *, name: str) -> NodeProto:
    return helper.make_node("Flatten", [source], [target], name=name, axis=1)


def _flattens(
    node: NodeProto, shapes: Mapping[str, Shape], constants: Mapping[str, TensorProto]
) -> bool:
    """Whether a Reshape makes one row of each image: (N, C, H, W) to (N, C * H * W)."""
    if node.op_type != "Reshape" or not shapes.get(node.input[0]):
        return False
    batch, *others = shapes[node.input[0]]
    wanted = _integers(node, constants)
    row = 1
    for size in others:
        if size is None:
            return False
        row *= size
    if len(wanted) != 2 or not others:
        return False
    keeps_batch = wanted[0] == batch and batch is not None
    return wanted[1] == row or (wanted[1] == -1 and keeps_batch)


def _integers(node: NodeProto, constants: Mapping[str, TensorProto]) -> tuple[int, ...]:
    """The constant second input of a node as integers, () where it is computed or missing."""
    if len(node.input) < 2 or node.input[1] not in constants:
        return ()
    return tuple(int(value) for value in numpy_helper.to_array(constants[node.input[1]]).ravel())
