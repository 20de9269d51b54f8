"""The copy that rounds as a GPU does: the very values of float16, which ONNX Runtime skips."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper

from edgecnn.graph.model_io import infer_shapes
from edgecnn.graph.rounded import rounded


def copies(count: int) -> ModelProto:
    """x -> float16 -> float32, which changes x to the nearest float16."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [count])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [count])
    nodes = [
        helper.make_node("Cast", ["x"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["half"], ["y"], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(nodes, "g", [x], [y])
    opset = [helper.make_opsetid("", 17)]
    return infer_shapes(helper.make_model(graph, opset_imports=opset, ir_version=8))


NORMAL = st.floats(2**-14, 60000, width=32) | st.floats(-60000, -(2**-14), width=32) | st.just(0.0)


@given(values=st.lists(NORMAL, min_size=1, max_size=30))
def test_every_value_is_the_nearest_float16(values: list[float]) -> None:
    x = np.asarray(values, np.float32)
    model = rounded(copies(len(x)))
    assert [node.op_type for node in model.graph.node].count("Cast") == 0
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = session.run(None, {"x": x})[0]
    exact = np.abs(x.astype(np.float16).astype(np.float32) - x)
    # Halfway between two of them either is nearest.
    np.testing.assert_array_equal(given.astype(np.float16).astype(np.float32), given)
    np.testing.assert_array_equal(np.abs(given - x), exact)
