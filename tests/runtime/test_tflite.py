"""ONNX graphs rewritten as TFLite models: each operator, the shifted integers, what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgecnn.errors import EngineError
from edgecnn.runtime.compiled import open_engine
from edgecnn.runtime.engines.tflite.convert import convert
from tests import requirements

Float = NDArray[np.float32]

EXAMPLES = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)


def one(
    op: str, *constants: NDArray[Any], shape: tuple[int, ...] = (1, 8, 9, 11), **attributes: Any
) -> ModelProto:
    """A float file of one node."""
    names = [f"constant_{index}" for index in range(len(constants))]
    node = helper.make_node(op, ["image", *names], ["made"], name="node", **attributes)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("made", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(value, name)
            for name, value in zip(names, constants, strict=True)
        ],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    return onnx.shape_inference.infer_shapes(model)


def between_integers(
    model: ModelProto, *, scales: tuple[float, float], zero_points: tuple[int, int], dtype: Any
) -> ModelProto:
    """The same file with Q and DQ before its node and behind it."""
    (node,) = model.graph.node
    names = {}
    for name, scale, zero_point in zip(("image", "made"), scales, zero_points, strict=True):
        names[name] = [f"{name}_scale", f"{name}_zero"]
        for constant, value in zip(
            names[name], (np.float32(scale), np.array(zero_point, dtype)), strict=True
        ):
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), constant))
    node.input[0], node.output[0] = "image_dq", "raw"
    nodes = [
        helper.make_node("QuantizeLinear", ["image", *names["image"]], ["image_q"]),
        helper.make_node("DequantizeLinear", ["image_q", *names["image"]], ["image_dq"]),
        node,
        helper.make_node("QuantizeLinear", ["raw", *names["made"]], ["made_q"]),
        helper.make_node("DequantizeLinear", ["made_q", *names["made"]], ["made"]),
    ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def both(model: ModelProto, folder: Path, *, spread: float = 2.0) -> tuple[Float, Float]:
    """What LiteRT and ONNX Runtime answer on the same random image."""
    requirements.litert()
    path = folder / "one.onnx"
    onnx.save(model, path)
    sha256 = str(hash(model.SerializeToString(deterministic=True)))
    shape = [size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim]
    image = np.random.default_rng(0).normal(0, spread, shape).astype(np.float32)
    answers = []
    for engine in ("litert", "onnxruntime"):
        opened = open_engine(path, engine=engine, sha256=sha256, threads=1)
        assert opened.outputs[0].name == "made"
        answers.append(opened.run({"image": image})["made"].copy())
        opened.close()
    return answers[0], answers[1]


def filters(*shape: int) -> Float:
    return np.random.default_rng(1).normal(0, 0.3, shape).astype(np.float32)


def floats(*values: float) -> Float:
    return np.array(values, np.float32)


def ints(*values: int) -> NDArray[np.int64]:
    return np.array(values, np.int64)


ONES: Mapping[str, ModelProto] = {
    "Relu": one("Relu"),
    "Relu6": one("Clip", floats(0).reshape(()), floats(6).reshape(())),
    "Clip": one("Clip", floats(-1).reshape(()), floats(1.5).reshape(())),
    "LeakyRelu": one("LeakyRelu", alpha=0.1),
    "Sigmoid": one("Sigmoid"),
    "Tanh": one("Tanh"),
    "HardSwish": one("HardSwish"),
    "HardSigmoid": one("HardSigmoid", alpha=1 / 6, beta=0.5),
    "HardSigmoid of ONNX": one("HardSigmoid"),
    "Softmax": one("Softmax", shape=(2, 7), axis=1),
    "LRN": one("LRN", size=5, alpha=0.1, beta=0.6, bias=1.5),
    "ReduceL2": one("ReduceL2", axes=[1]),
    "Add": one("Add", filters(8, 1, 1)),
    "Mul": one("Mul", filters(1, 8, 9, 11)),
    "Div": one("Div", floats(3)),
    "GlobalAveragePool": one("GlobalAveragePool"),
    "ReduceMean": one("ReduceMean", axes=[-1, -2], keepdims=0),
    "ReduceMean of channels": one("ReduceMean", axes=[1]),
    "Conv": one("Conv", filters(6, 8, 3, 3), filters(6), pads=[1, 1, 1, 1], strides=[2, 2]),
    "Conv in groups": one("Conv", filters(6, 4, 3, 3), group=2),
    "Conv by channel": one("Conv", filters(16, 1, 3, 3), group=8, auto_pad="SAME_UPPER"),
    "ConvTranspose": one("ConvTranspose", filters(8, 5, 2, 2), filters(5), strides=[2, 2]),
    "Gemm": one("Gemm", filters(8, 5), filters(5), shape=(3, 8), alpha=0.5, beta=2.0),
    "MatMul": one("MatMul", filters(8, 5), shape=(3, 8)),
    "Flatten": one("Flatten"),
    "Reshape": one("Reshape", ints(0, 2, -1, 9, 11)),
    "Squeeze": one("Squeeze", ints(2), shape=(1, 8, 1, 3)),
    "Unsqueeze": one("Unsqueeze", ints(2, -1), shape=(2, 3)),
    "Transpose": one("Transpose", perm=[0, 2, 3, 1]),
    "Transpose back": one("Transpose", perm=[0, 3, 1, 2]),
    "Transpose of all": one("Transpose"),
    "Pad": one("Pad", ints(0, 0, 1, 2, 0, 0, 3, 0)),
    "Pad of channels": one("Pad", ints(0, 2, 0, 0, 0, 1, 0, 0)),
    "Slice": one("Slice", ints(1, 2), ints(9, -1), ints(3, 1), ints(2, 1)),
    "Resize": one("Resize", floats(), floats(1, 1, 2, 3), mode="nearest"),
    "Resize linearly": one("Resize", floats(), floats(1, 1, 2, 2), mode="linear"),
    "Resize to a size": one(
        "Resize", floats(), floats(), ints(1, 8, 13, 5), mode="linear",
        coordinate_transformation_mode="align_corners",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ONES)
def test_each_operator_answers_as_in_onnxruntime(name: str, tmp_path: Path) -> None:
    ours, theirs = both(ONES[name], tmp_path)
    np.testing.assert_allclose(ours, theirs, atol=3e-6, rtol=1e-4)


ON_INTEGERS = (
    "Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSwish", "HardSigmoid", "GlobalAveragePool",
    "Flatten", "Reshape", "Transpose", "Pad", "Pad of channels", "Slice", "Resize",
)  # fmt: skip
# Half a step of the answer, and half of what LiteRT's way there adds: a sigmoid's step is always
# 1/256, a HardSwish's inner one 6/255 of values up to 8.
STEPS = {"Sigmoid": 1.6, "Tanh": 1.6, "HardSwish": 2.0}


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("name", ON_INTEGERS)
def test_each_operator_on_integers_is_a_step_away_at_most(
    name: str, dtype: Any, tmp_path: Path
) -> None:
    low = int(np.iinfo(dtype).min)
    model = ModelProto()
    model.CopyFrom(ONES[name])
    wide = name in ("HardSwish", *ON_INTEGERS[6:])
    scale = 16 / 255 if wide or name in ("Relu", "LeakyRelu") else 1 / 250
    zero = low + (128 if wide or name == "LeakyRelu" else 125 if name == "Tanh" else 0)
    scale = 2 / 250 if name == "Tanh" else scale
    model = between_integers(
        model, scales=(16 / 255, scale), zero_points=(low + 128, zero), dtype=dtype
    )
    ours, theirs = both(model, tmp_path)
    assert np.abs(ours - theirs).max() <= (STEPS.get(name, 1.0) + 1e-3) * scale


@EXAMPLES
@given(scale=st.floats(2**-10, 8, width=32), zero_point=st.integers(0, 255))
def test_uint8_shifted_to_int8_stands_for_the_same_numbers(
    scale: float, zero_point: int, tmp_path: Path
) -> None:
    """Quantized and dequantized: what both engines hold differs by ties of rounding at most."""
    model = between_integers(
        one("Flatten"), scales=(scale, scale), zero_points=(zero_point,) * 2, dtype=np.uint8
    )
    ours, theirs = both(model, tmp_path, spread=100 * scale)
    steps = (ours - theirs) / np.float32(scale)
    assert np.abs(steps - np.rint(steps)).max() < 1e-3, "between two integers there is nothing"
    assert np.mean(np.rint(steps) != 0) < 0.02


@EXAMPLES
@given(data=st.data())
def test_windows_of_all_kinds_look_at_the_same_pixels(data: st.DataObject, tmp_path: Path) -> None:
    kernel = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    strides = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    pads = tuple(data.draw(st.integers(0, each - 1)) for each in kernel * 2)
    kind = data.draw(st.sampled_from(["Conv", "MaxPool", "AveragePool"]))
    attributes: dict[str, Any] = {"strides": strides, "pads": pads, "kernel_shape": kernel}
    if kind == "Conv":
        dilations = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
        model = one("Conv", filters(4, 8, *kernel), **attributes, dilations=dilations)
    elif kind == "MaxPool":
        model = one(kind, **attributes, ceil_mode=data.draw(st.integers(0, 1)))
    else:
        model = one(kind, **attributes, count_include_pad=data.draw(st.integers(0, 1)))
    try:
        ours, theirs = both(model, tmp_path)
    except EngineError as error:
        assert "leaves out padding" in str(error)
        assume(False)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


REFUSED: Mapping[str, tuple[ModelProto, str]] = {
    "an operator": (one("Einsum", equation="bchw->bhwc"), "Einsum 'node' is not written as TFLite"),
    "three axes": (one("Conv", filters(6, 8, 3), shape=(1, 8, 9)), "Conv 'node' works on 1 axes"),
    "SAME_LOWER": (
        one("MaxPool", kernel_shape=[2, 2], auto_pad="SAME_LOWER"),
        "MaxPool 'node' has auto_pad SAME_LOWER",
    ),
    "padding": (
        one("ConvTranspose", filters(8, 5, 2, 2), pads=[1, 1, 1, 1]),
        r"ConvTranspose 'node' has pads \(1, 1, 1, 1\)",
    ),
    "another axis": (one("Softmax", axis=1), "Softmax 'node' is not over the last axis"),
    "reflection": (
        one("Pad", ints(0, 0, 1, 1, 0, 0, 1, 1), mode="reflect"),
        "Pad 'node' does not add zeros",
    ),
    "cubic": (
        one("Resize", floats(), floats(1, 1, 2, 2), mode="cubic"),
        "Resize 'node' has mode b'cubic'",
    ),
    "backwards": (
        one("Slice", ints(-1), ints(0), ints(3), ints(-1)),
        "Slice 'node' goes backwards",
    ),
    "a copy of an axis that is not there": (
        one("Reshape", ints(1, 6, 8, 5, 0)),
        "Reshape 'node' is not as ONNX has it",
    ),
    "an even LRN": (one("LRN", size=4), "LRN 'node' is over 4 channels"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_way_of_being_written_is_refused_by_name(name: str, tmp_path: Path) -> None:
    model, said = REFUSED[name]
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(EngineError, match=f"litert: {said}") as told:
        convert(tmp_path / "net.onnx")
    assert "--engine onnxruntime" in told.value.hint


def test_integers_of_sixteen_bits_are_refused(tmp_path: Path) -> None:
    model = between_integers(one("Relu"), scales=(0.1, 0.1), zero_points=(0, 0), dtype=np.uint16)
    model.opset_import[0].version = 21
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(EngineError, match=r"QuantizeLinear .* no int8 with one scale"):
        convert(tmp_path / "net.onnx")


def test_a_shape_that_is_computed_is_refused(tmp_path: Path) -> None:
    model = one("Reshape", ints(1, -1))
    model.graph.input.append(helper.make_tensor_value_info("constant_0", TensorProto.INT64, (2,)))
    del model.graph.initializer[:]
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(EngineError, match="'constant_0' is int64, not float32"):
        convert(tmp_path / "net.onnx")
