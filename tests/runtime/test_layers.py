"""The layers that engines make of a file, and where the time of a run goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto

from edgecnn.errors import EngineError
from edgecnn.onnxfile import model_sha256
from edgecnn.runtime import load
from edgecnn.runtime.compiled import compile_engine
from edgecnn.runtime.engines.base import Layer
from edgecnn.runtime.engines.ort_graph import read_nodes
from edgecnn.runtime.engines.ort_layers import OrtProfiled
from edgecnn.runtime.layers import PROFILED, layer_times, layers_of
from tests import requirements, toy
from tests.graph.test_qdq import quantized
from tests.profiling.toys import color_picture, write_color_net

WEIGHTED = ("Conv", "Gemm")


@pytest.fixture(params=["onnxruntime", "openvino"])
def engine(request: pytest.FixtureRequest) -> str:
    if request.param == "openvino":
        requirements.openvino()
    return str(request.param)


def made_of(model: ModelProto, folder: Path, engine: str) -> tuple[Layer, ...]:
    onnx.save(model, folder / "net.onnx")
    path = folder / "net.onnx"
    return layers_of(path, engine=engine, sha256=model_sha256(path))


def test_every_layer_with_weights_is_found_by_name_and_precision(
    tmp_path: Path, engine: str
) -> None:
    model = quantized(toy.depthwise())
    layers = made_of(model, tmp_path, engine)
    for node in model.graph.node:
        if node.op_type in WEIGHTED:
            known = {node.name, *node.output}
            (layer,) = [each for each in layers if not known.isdisjoint(each.origins)]
            assert layer.precision == "int8", layer


def test_a_float_file_is_float(tmp_path: Path, engine: str) -> None:
    layers = made_of(toy.plain(), tmp_path, engine)
    assert {layer.precision for layer in layers} == {"fp32"}


def test_layers_are_told_in_the_order_in_which_they_run(tmp_path: Path, engine: str) -> None:
    model = quantized(toy.plain())
    named = [name for layer in made_of(model, tmp_path, engine) for name in layer.origins]
    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
    assert [name for name in named if name in convolutions] == convolutions


def test_times_are_those_of_a_run(tmp_path: Path, engine: str) -> None:
    path = write_color_net(tmp_path / "net.onnx", work=20)
    with load(path, engine=engine, threads=1) as model:
        times = layer_times(model, [model.preprocess(color_picture(index)) for index in range(2)])
    made = layers_of(path, engine=engine, sha256=model_sha256(path))
    same = {layer.name for layer in made} & {each.layer.name for each in times.layers}
    assert same, "all but those of less than a microsecond, which OpenVINO does not tell"
    assert all(layer.time_ms >= 0 for layer in times.layers)
    assert times.runs >= 24
    assert 0 < times.layers_ms < 3 * times.profiled_ms
    assert times.overhead == times.profiled_ms / times.run_ms - 1


def test_a_batch_that_the_file_fixes_is_filled(tmp_path: Path, engine: str) -> None:
    path = write_color_net(tmp_path / "net.onnx", batch=2, work=20)
    with load(path, engine=engine, threads=1) as model:
        assert layer_times(model, [model.preprocess(color_picture(0))]).layers


def test_an_engine_whose_profiler_is_not_read_is_told(tmp_path: Path) -> None:
    path = write_color_net(tmp_path / "net.onnx")
    with pytest.raises(EngineError, match="its profiler is not read here") as raised:
        layers_of(path, engine="tensorrt", sha256=model_sha256(path))
    assert raised.value.hint == f"one of: {', '.join(PROFILED)}"


def test_a_session_that_has_not_run_has_no_layers_to_tell(tmp_path: Path) -> None:
    onnx.save(toy.plain(), tmp_path / "net.onnx")
    path = tmp_path / "net.onnx"
    graph = compile_engine(path, engine="onnxruntime", sha256=model_sha256(path)).graph
    with pytest.raises(EngineError, match="not the same nodes in each run"):
        OrtProfiled(graph, threads=1).stop()


def test_runs_for_warming_up_do_not_count(tmp_path: Path) -> None:
    onnx.save(toy.plain(), tmp_path / "net.onnx")
    path = tmp_path / "net.onnx"
    graph = compile_engine(path, engine="onnxruntime", sha256=model_sha256(path)).graph
    profiled = OrtProfiled(graph, threads=1)
    for index in range(5):
        if index == 3:
            profiled.begin()
        profiled.run({"image": np.zeros((1, 3, 16, 16), np.float32)})
    layers, times_ms = profiled.stop()
    assert times_ms.shape == (2, len(layers))


def test_nodes_are_read_without_the_onnx_package(tmp_path: Path) -> None:
    model, path = quantized(toy.concat()), tmp_path / "net.onnx"
    onnx.save(model, path)
    nodes = model.graph.node
    assert [(node.name, node.kind, node.inputs, node.outputs) for node in read_nodes(path)] == [
        (node.name, node.op_type, tuple(node.input), tuple(node.output)) for node in nodes
    ]
