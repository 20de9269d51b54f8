"""Where the time of a run goes: layers, the nodes that they came from, and what is with them."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import ModelProto

from edgecnn.errors import EngineError
from edgecnn.graph.saturation import local_target
from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.contracts import ContractOptions
from edgecnn.pipeline.explain_time import TimeExplanation, TimeOptions, explain_time
from edgecnn.pipeline.quantize import QuantizeOptions, quantize
from edgecnn.runtime import cache
from tests import requirements, toy
from tests.graph.test_qdq import quantized
from tests.graph.test_stem import with_stem


def explained(model: ModelProto, folder: Path, *, engine: str = "onnxruntime") -> TimeExplanation:
    onnx.save(model, folder / "net.onnx")
    options = TimeOptions(
        engine=engine, threads=1, contract=ContractOptions(mean=(0.5,), std=(0.25,))
    )
    return explain_time(folder / "net.onnx", options=options)


def sorts(found: TimeExplanation, sort: str) -> list[str]:
    return [row.name for row in found.rows if row.sort == sort]


def test_all_time_is_shared_out_and_layers_have_the_names_of_the_file(tmp_path: Path) -> None:
    found = explained(toy.residual(), tmp_path)
    assert sum(row.share for row in found.rows) == pytest.approx(1)
    weighted = {node.name for node in toy.residual().graph.node if node.op_type in ("Conv", "Gemm")}
    assert weighted <= {name for row in found.rows for name in row.nodes}
    assert found.engine.startswith("onnxruntime ")
    assert not sorts(found, "float"), "a float file is no island"


def test_an_island_of_float_in_an_int8_file_is_found_with_its_reason(tmp_path: Path) -> None:
    source = toy.plain()
    kept = source.graph.node[3].name
    model = quantized(source, target=local_target().name, keep_float=(kept,))
    found = explained(model, tmp_path)
    assert sorts(found, "float") == ["maxpool_2", kept], "the pool before it reads floats, too"
    islands = {
        finding.cause: finding.layers for finding in found.findings if finding.sort == "float"
    }
    assert islands == {"float in the file": (kept,), "MaxPool runs in float": ("maxpool_2",)}
    inner = [finding for finding in found.findings if "between layers" in finding.cause]
    assert inner, "a Q and a DQ stand around it"


def test_a_first_layer_that_is_faster_in_float_stays(pictures: Path, tmp_path: Path) -> None:
    onnx.save(with_stem(), tmp_path / "net.onnx")
    options = QuantizeOptions(
        effort="fast",
        target="onnxruntime-x86",
        contract=ContractOptions(mean=(0.5,), std=(0.25,)),
    )
    images = find_calibration(str(pictures), limit=16)
    int8 = quantize(tmp_path / "net.onnx", images, options=options)
    found = explain_time(int8.path, options=TimeOptions(threads=1))
    (finding,) = [finding for finding in found.findings if finding.sort == "float"]
    assert finding.layers == int8.quantized.float_layers
    assert (finding.cause, finding.remedy) == (
        "a first layer is faster so",
        "it stays: on integers it would take longer",
    )


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_activations_that_are_no_part_of_a_layer_are_found(tmp_path: Path, engine: str) -> None:
    if engine == "openvino":
        requirements.openvino()
    net = toy.Net()
    maps = net.conv("image", 16)
    maps = net.node("Mul", maps, net.node("Sigmoid", maps))
    model = net.model(net.head(net.conv(maps, 16)))
    found = explained(quantized(model, target=local_target().name), tmp_path, engine=engine)
    activations = sorts(found, "activation")
    assert activations
    (finding,) = [finding for finding in found.findings if finding.sort == "activation"]
    assert list(finding.layers) == activations
    assert finding.time_ms == pytest.approx(
        sum(row.timed.time_ms for row in found.rows if row.sort == "activation")
    )


def test_where_floats_go_in_and_come_out_values_are_converted(tmp_path: Path) -> None:
    found = explained(quantized(toy.plain(), target=local_target().name), tmp_path)
    assert found.rows[0].sort == "reformat"
    assert any("they stay" in finding.remedy for finding in found.findings)


@pytest.mark.parametrize("engine", ["tensorrt", "litert", "onnxruntime:cuda"])
def test_an_engine_whose_profiler_is_not_read_is_refused_before_it_is_built(
    tmp_path: Path, engine: str
) -> None:
    with pytest.raises(EngineError, match=f"^{engine}: its profiler is not read here"):
        explained(toy.plain(), tmp_path, engine=engine)
    assert not cache.entries()


def test_machines_get_all_of_it(tmp_path: Path) -> None:
    found = explained(toy.plain(), tmp_path)
    document = found.document()
    assert document["layers_ms"] == pytest.approx(sum(row["time_ms"] for row in document["layers"]))
    assert len(document["layers"]) == len(found.rows)
    assert document["profiled_ms"] > 0
    assert document["threads"] == 1
