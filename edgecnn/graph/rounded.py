"""An FP16 graph as a GPU computes it, to be run in ONNX Runtime on the CPU.

There ONNX Runtime keeps what flows between layers in float32 whatever the file says, so its answers
show the rounding of weights alone. Here every float16 tensor is rounded to 11 bits by arithmetic
that no optimizer takes away: Dekker, A floating-point technique for extending the available
precision, Numerische Mathematik 18 (1971), with c = 2^13 + 1: x*c - (x*c - x).
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgecnn.graph.model_io import copied
from edgecnn.graph.wiring import put_constant, set_nodes

_SPLITTER = np.float32(2**13 + 1)
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)
_SPLITTER_NAME = "edgecnn_fp16_splitter"


def rounded(model: ModelProto) -> ModelProto:
    """A float32 copy of an FP16 model, with its types inferred, that rounds as FP16 does.

    Subnormal numbers and overflow are not imitated: the scan for extremes looks for those.
    """
    copy = copied(model)
    graph = copy.graph
    infos = (*graph.input, *graph.value_info, *graph.output)
    kinds = {info.name: info.type.tensor_type.elem_type for info in infos}
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            value = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    put_constant(copy, _SPLITTER_NAME, np.asarray(_SPLITTER))
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.op_type == "Cast" and _is_between_floats(node, kinds):
            node = helper.make_node("Identity", node.input, node.output)
        nodes.append(node)
        for index, name in enumerate(node.output):
            if kinds.get(name) == TensorProto.FLOAT16:
                node.output[index] = f"{name}_exact"
                nodes.extend(_rounding(f"{name}_exact", name))
    set_nodes(copy, nodes)
    graph.ClearField("value_info")
    return copy


def _is_between_floats(cast: NodeProto, kinds: dict[str, int]) -> bool:
    return kinds.get(cast.input[0]) in _FLOATS and kinds.get(cast.output[0]) in _FLOATS


def _rounding(source: str, target: str) -> list[NodeProto]:
    large, small = f"{target}_large", f"{target}_small"
    return [
        helper.make_node("Mul", [source, _SPLITTER_NAME], [large]),
        helper.make_node("Sub", [large, source], [small]),
        helper.make_node("Sub", [large, small], [target]),
    ]
