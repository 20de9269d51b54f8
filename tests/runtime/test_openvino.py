"""OpenVINO beside ONNX Runtime: the same answers, in the precision that was asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors import EngineError, ModelError
from edgecnn.graph.quantize import quantize_model
from edgecnn.runtime import cache, load
from edgecnn.runtime.engines.base import Engine
from tests import requirements, toy
from tests.profiling.toys import color_picture, write_color_net
from tests.runtime.opening import compiled, farthest, opened, saved

ROUNDING_OF_BF16 = 2**-9


@pytest.fixture(autouse=True)
def installed() -> None:
    requirements.openvino()


def in_bf16(path: Path) -> Engine:
    try:
        return opened(path, "openvino-bf16")
    except EngineError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("net", toy.NETS)
def test_fp32_answers_as_onnxruntime_does(net: str, tmp_path: Path) -> None:
    assert farthest(saved(toy.NETS[net](), tmp_path), "openvino") < 1e-5  # BF16: near 1e-2


@pytest.mark.parametrize("net", ["residual", "depthwise", "concat"])
def test_int8_answers_as_onnxruntime_does(net: str, tmp_path: Path) -> None:
    made = quantize_model(toy.NETS[net](), toy.images(16), effort="fast")
    assert farthest(saved(made.model, tmp_path), "openvino") < 0.05


def test_bf16_is_computed_only_where_it_is_asked_for_and_is_called_so(tmp_path: Path) -> None:
    path = saved(toy.residual(), tmp_path)
    assert opened(path, "openvino").facts["float"] == "fp32"
    assert in_bf16(path).facts["float"] == "bf16"
    assert farthest(path, "openvino-bf16") > ROUNDING_OF_BF16 / 4


def test_a_file_in_bf16_is_a_precision_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    write_color_net(path, provenance={"model": "net", "precision": "fp32"})
    in_bf16(path).close()
    with load(path, engine="openvino") as model:
        assert model.precision == "fp32"
    with load(path, engine="openvino-bf16") as model:
        assert model.precision == "bf16"


def test_the_blob_is_built_once_and_runs_with_any_threads(tmp_path: Path) -> None:
    path = saved(toy.plain(), tmp_path)
    first = opened(path, "openvino", threads=1)
    second = opened(path, "openvino", threads=2)
    assert (first.facts["graph"], second.facts["graph"]) == ("built", "cached")
    assert (first.facts["threads"], second.facts["threads"]) == ("1", "2")
    assert not compiled(path, "openvino").built
    assert cache.entries()[0].about.startswith("net.onnx for openvino 20")
    assert compiled(path, "openvino-bf16").folder != compiled(path, "openvino").folder


def test_a_damaged_blob_is_built_again(tmp_path: Path) -> None:
    path = saved(toy.plain(), tmp_path)

    def nonsense(folder: Path) -> None:
        (folder / "model.blob").write_bytes(b"not what OpenVINO writes")

    folder = compiled(path, "openvino").folder
    whole = (folder / "about.json").read_text()
    nonsense(folder)
    stamp = (folder / "model.blob").stat()
    document = whole.replace(
        whole[whole.index('"model.blob"') :],
        f'"model.blob": [{stamp.st_size}, {stamp.st_mtime_ns}]}}}}',
    )
    (folder / "about.json").write_text(document)
    assert not compiled(path, "openvino").built, "the cache believes in it"
    assert opened(path, "openvino").facts["graph"] == "built"
    assert farthest(path, "openvino") < 1e-5


def test_without_room_for_a_cache_the_file_itself_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(toy.plain(), tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "file"))
    assert opened(path, "openvino").facts["graph"].startswith("not cached: ")
    assert farthest(path, "openvino") < 1e-5


def test_an_open_batch_may_be_of_any_size(tmp_path: Path) -> None:
    path = tmp_path / "open.onnx"
    write_color_net(path, batch="N")
    pictures = [color_picture(index) for index in range(3)]
    with load(path, engine="openvino") as ours, load(path) as theirs:
        assert ours.engine.inputs[0].batch is None
        assert np.allclose(ours.logits(*pictures), theirs.logits(*pictures), atol=1e-4)
        assert np.allclose(ours.logits(*pictures[:2]), theirs.logits(*pictures[:2]), atol=1e-4)


def test_an_answer_is_not_overwritten_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    write_color_net(path)
    with load(path, engine="openvino") as model:
        first = model.logits(color_picture(0))
        kept = first.copy()
        model.logits(color_picture(1))
        assert np.array_equal(first, kept)
        both = model.run(
            np.concatenate([model.preprocess(color_picture(index)) for index in range(2)])
        )
        assert np.allclose(both[0], kept[0], atol=1e-5), "a file of batch 1, run in two parts"


def test_a_tensor_that_does_not_fit_is_told_in_one_line(tmp_path: Path) -> None:
    engine = opened(saved(toy.plain(), tmp_path), "openvino")
    for wrong in (np.zeros((1, 3, 8, 8), np.float32), np.zeros((1, 3, 16, 16), np.float64)):
        with pytest.raises(EngineError, match=r"openvino failed: (Can't set|ParameterMismatch)"):
            engine.run({"image": wrong})


def test_a_file_that_openvino_refuses_is_named(tmp_path: Path) -> None:
    model = toy.plain()
    model.graph.node[0].op_type = "Abacus"
    path = saved(model, tmp_path)
    with pytest.raises(ModelError, match=r"net.onnx: openvino .* cannot load it"):
        opened(path, "openvino")
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(ModelError, match="not an ONNX file"):
        opened(tmp_path / "text.onnx", "openvino")


def test_nobody_is_told_that_openvino_was_imported(tmp_path: Path) -> None:
    """Its telemetry, which by itself starts with the import, is never loaded."""
    path = saved(toy.plain(), tmp_path)
    code = (
        "import sys; from pathlib import Path\n"
        "from edgecnn.runtime.compiled import open_engine\n"
        f"open_engine(Path({str(path)!r}), engine='openvino', sha256='abc', threads=1)\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = done.stdout.split()
    assert "openvino.tools.ovc" in modules
    assert not [name for name in modules if name.startswith("openvino_telemetry")]
