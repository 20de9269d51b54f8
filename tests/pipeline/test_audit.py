"""What of an INT8 file is really computed in INT8, and why the rest is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import ModelProto

from edgecnn.graph.saturation import local_target
from edgecnn.onnxfile import model_sha256
from edgecnn.pipeline.audit import Audit, audit, compare
from edgecnn.runtime.layers import layers_of
from tests import requirements, toy
from tests.graph.test_qdq import quantized


def audited(
    model: ModelProto, folder: Path, *, engine: str = "onnxruntime", step: dict[str, Any]
) -> Audit:
    path = folder / "net.onnx"
    onnx.save(model, path)
    layers = layers_of(path, engine=engine, sha256=model_sha256(path))
    return compare(model, layers, step=step, engine=engine)


def here(model: ModelProto, **options: Any) -> ModelProto:
    return quantized(model, target=local_target().name, **options)


@pytest.mark.parametrize("net", ["plain", "residual", "depthwise", "concat"])
def test_a_file_for_this_processor_is_int8_throughout(net: str, tmp_path: Path) -> None:
    model = here(toy.NETS[net]())
    onnx.save(model, tmp_path / "net.onnx")
    found = audit(tmp_path / "net.onnx", engine="onnxruntime")
    assert found is not None
    assert found.floats == ()
    assert found.integer == found.layers
    assert list(found.told()) == [
        f"{found.layers} of {found.layers} layers with weights run in INT8"
    ]


def test_a_layer_that_quantize_left_in_float_is_named_so(tmp_path: Path) -> None:
    source = toy.plain()
    kept = source.graph.node[0].name
    model = here(source, keep_float=(kept,))
    found = audited(model, tmp_path, step={"float_layers": [kept]})
    assert [(layer.name, layer.precision, layer.why) for layer in found.floats] == [
        (kept, "fp32", "quantize left it in float")
    ]
    assert list(found.told())[1] == f"{kept} (Conv) in FP32: quantize left it in float"
    elsewhere = audited(model, tmp_path, step={})
    assert [layer.why for layer in elsewhere.floats] == ["float in the file"]


def test_a_file_for_another_engine_says_which_target_is_wanted(tmp_path: Path) -> None:
    model = quantized(toy.residual(), target="tensorrt")
    found = audited(model, tmp_path, step={"target": "tensorrt"})
    assert found.floats, "ONNX Runtime has no kernels for float biases"
    assert {layer.why for layer in found.floats} == {
        f"the file is for tensorrt; here: edgecnn quantize --target {local_target().name}"
    }
    unknown = audited(model, tmp_path, step={})
    assert all("no integer kernel" in layer.why for layer in unknown.floats)


def test_openvino_is_looked_at_too(tmp_path: Path) -> None:
    requirements.openvino()
    kept = toy.depthwise().graph.node[0].name
    found = audited(here(toy.depthwise(), keep_float=(kept,)), tmp_path, engine="openvino", step={})
    assert [layer.name for layer in found.floats] == [kept]
    assert found.integer == found.layers - 1


def test_a_float_file_and_an_engine_that_does_not_tell_have_no_audit(tmp_path: Path) -> None:
    onnx.save(toy.plain(), tmp_path / "float.onnx")
    onnx.save(here(toy.plain()), tmp_path / "int8.onnx")
    assert audit(tmp_path / "float.onnx", engine="onnxruntime") is None
    assert audit(tmp_path / "int8.onnx", engine="tensorrt") is None
