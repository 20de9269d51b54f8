"""LiteRT beside ONNX Runtime: the same file, the same answers, and nothing built twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.contract import Contract, Preprocess, TensorSpec
from edgecnn.errors import EngineError, ModelError
from edgecnn.onnxfile import model_sha256
from edgecnn.pipeline.audit import audit
from edgecnn.runtime import cache, load
from edgecnn.runtime.correctness import least_sqnr_db
from edgecnn.runtime.layers import layer_times, layers_of
from tests import requirements, toy
from tests.graph.test_qdq import quantized
from tests.profiling.toys import SIDE, color_picture, write_color_net
from tests.runtime.opening import compiled, farthest, opened, saved

TARGETS = ("onnxruntime-x86", "onnxruntime-arm", "openvino", "tensorrt")


@pytest.fixture(autouse=True)
def installed() -> None:
    requirements.litert()


@pytest.mark.parametrize("net", toy.NETS)
def test_fp32_answers_as_onnxruntime_does(net: str, tmp_path: Path) -> None:
    assert farthest(saved(toy.NETS[net](), tmp_path), "litert") < 1e-5


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("net", toy.NETS)
def test_int8_for_any_engine_answers_as_onnxruntime_does(
    net: str, target: str, tmp_path: Path
) -> None:
    """What a file of a few layers may differ by: a golden check's share, 0.05 of the spread."""
    assert farthest(saved(quantized(toy.NETS[net](), target=target), tmp_path), "litert") < 0.05


def test_the_facts_say_what_runs_where(tmp_path: Path) -> None:
    path = saved(quantized(toy.residual()), tmp_path)
    engine = opened(path, "litert", threads=2)
    assert engine.facts["engine"].startswith("litert ")
    assert engine.facts["provider"].startswith("XNNPACK (nodes: ")
    assert "own kernels" not in engine.facts["provider"]
    assert engine.facts["threads"] == "2"
    assert [(spec.name, spec.shape) for spec in engine.inputs] == [("image", (1, 3, 16, 16))]
    assert [(spec.name, spec.dtype) for spec in engine.outputs] == [("logits", "float32")]


def test_what_xnnpack_does_not_take_is_counted_and_named(tmp_path: Path) -> None:
    net = toy.Net()
    maps = net.node("LRN", net.conv("image", 8), size=5)
    path = saved(net.model(net.head(maps)), tmp_path)
    told = opened(path, "litert").facts["provider"]
    assert told.endswith("LiteRT's own kernels (nodes: 1: LOCAL_RESPONSE_NORMALIZATION)")


def test_the_model_is_written_once_and_runs_with_any_threads(tmp_path: Path) -> None:
    path = saved(toy.plain(), tmp_path)
    first, second = opened(path, "litert"), opened(path, "litert", threads=2)
    assert (first.facts["graph"], second.facts["graph"]) == ("built", "cached")
    assert not compiled(path, "litert").built
    assert compiled(path, "litert").graph.read_bytes()[4:8] == b"TFL3"
    assert cache.entries()[0].about.startswith("net.onnx for litert 2")


def test_a_damaged_model_is_written_again(tmp_path: Path) -> None:
    path = saved(toy.plain(), tmp_path)
    graph = compiled(path, "litert").graph
    stamp = graph.stat()
    graph.write_bytes(b"\0" * stamp.st_size)
    about = graph.with_name("about.json")
    then, now = str(stamp.st_mtime_ns), str(graph.stat().st_mtime_ns)
    about.write_text(about.read_text().replace(then, now))
    assert not compiled(path, "litert").built, "the cache believes in it"
    assert opened(path, "litert").facts["graph"] == "built"
    assert farthest(path, "litert") < 1e-5


def test_without_room_for_a_cache_it_runs_from_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "file" / "cache"))
    engine = opened(saved(toy.plain(), tmp_path), "litert")
    assert engine.facts["graph"].startswith("not cached: ")
    assert np.isfinite(engine.run({"image": next(toy.images(1)())})["logits"]).all()


def test_open_batches_run_one_image_at_a_time(tmp_path: Path) -> None:
    model = toy.residual()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    contract = Contract(
        (TensorSpec("image", "float32", ("batch", 3, 16, 16)),),
        (TensorSpec("logits", "float32", ("batch", 10)),),
        Preprocess(size=(16, 16)),
    )
    with load(saved(model, tmp_path), contract=contract, engine="litert") as ours:
        assert ours.engine.inputs[0].batch == 1
        images = np.concatenate(list(toy.images(3)()))
        with load(tmp_path / "net.onnx", contract=contract, engine="onnxruntime") as theirs:
            np.testing.assert_allclose(ours.run(images), theirs.run(images), atol=1e-4)


def test_nothing_but_ours_is_written_to_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    opened(saved(toy.plain(), tmp_path), "litert").close()
    assert capfd.readouterr() == ("", "")


def test_an_input_that_does_not_fit_is_litert_s_error_in_our_words(tmp_path: Path) -> None:
    engine = opened(saved(toy.plain(), tmp_path), "litert")
    for wrong in (np.zeros((1, 3, 8, 8), np.float32), np.zeros((1, 3, 16, 16), np.float64)):
        with pytest.raises(EngineError, match="litert failed: Cannot set tensor"):
            engine.run({"image": wrong})


def test_a_file_that_is_not_written_as_tflite_is_refused_by_its_node(tmp_path: Path) -> None:
    model = toy.plain()
    model.graph.node[0].op_type = "Abacus"
    with pytest.raises(EngineError, match="litert: Abacus 'conv_0' is not written as TFLite"):
        opened(saved(model, tmp_path), "litert")
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(ModelError, match="not an ONNX file"):
        opened(tmp_path / "text.onnx", "litert")
    assert not cache.entries()


def test_the_audit_counts_what_became_int8(tmp_path: Path) -> None:
    path = saved(quantized(toy.depthwise()), tmp_path)
    found = audit(path, engine="litert")
    assert found is not None
    (last,) = found.floats
    assert (last.kind, last.precision, found.integer) == ("Gemm", "fp32", found.layers - 1)
    assert last.why.startswith("INT8 in the file, but litert has no integer kernel")
    kinds = {layer.kind for layer in layers_of(path, engine="litert", sha256=model_sha256(path))}
    assert {"QuantizeLinear", "Transpose", "CONV_2D", "DEPTHWISE_CONV_2D"} <= kinds


def test_its_profiler_cannot_be_read(tmp_path: Path) -> None:
    path = write_color_net(tmp_path / "net.onnx")
    with load(path, engine="litert") as model:
        tensor = model.preprocess(color_picture(0, side=SIDE))
        with pytest.raises(EngineError, match="litert: its profiler is not read here"):
            layer_times(model, [tensor])


def test_auto_looks_at_it_where_it_is_installed(tmp_path: Path) -> None:
    from edgecnn.onnxfile import read_contract
    from edgecnn.runtime.auto import choose

    path = write_color_net(tmp_path / "net.onnx", work=4)
    contract = read_contract(path)
    found = choose(path, contract=contract, sha256=model_sha256(path), threads=1)
    (entrant,) = [each for each in found.entrants if each.engine == "litert"]
    assert not entrant.problem
    assert entrant.p50_ms
    assert entrant.version.startswith("litert 2")
    assert least_sqnr_db("fp32", contract) == 60, "what it was compared by"
