"""Plans that run: `make test-gpu` on a machine with an NVIDIA GPU and TensorRT or TensorRT-RTX."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgecnn.errors import EngineError
from edgecnn.graph.half import halve_model
from edgecnn.runtime.engines.cuda import Cuda, find_gpu
from edgecnn.runtime.engines.trt_build import MAX_BATCH
from tests import requirements, toy
from tests.runtime.opening import compiled, opened, saved
from tests.runtime.test_tensorrt import symmetric_int8

pytestmark = pytest.mark.gpu

INSTALLED = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx_bindings"}


@pytest.fixture(params=INSTALLED)
def engine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each engine that is installed here, with a cache of its own."""
    try:
        find_gpu()
    except EngineError as error:
        requirements.missing("gpu", str(error))
    if importlib.util.find_spec(INSTALLED[request.param]) is None:
        pytest.skip(f"{request.param} is not installed")
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "cache"))
    return str(request.param)


def farthest(path: Path, engine: str, reference: Path) -> float:
    """The largest difference to ONNX Runtime in FP32, as a share of the largest output."""
    ours, theirs = opened(path, engine), opened(reference, "onnxruntime")
    worst = largest = 0.0
    for image in toy.images(8, seed=5)():
        given = ours.run({"image": image})["logits"]
        wanted = theirs.run({"image": image})["logits"]
        worst = max(worst, float(np.abs(given - wanted).max()))
        largest = max(largest, float(np.abs(wanted).max()))
    ours.close()
    return worst / largest


@pytest.mark.parametrize("net", toy.NETS)
def test_fp32_answers_as_onnxruntime_does(net: str, engine: str, tmp_path: Path) -> None:
    path = saved(toy.NETS[net](), tmp_path)
    assert farthest(path, engine, path) < 1e-4  # TF32 would be at 1e-3


@pytest.mark.parametrize("net", toy.NETS)
def test_fp16_answers_nearly_so(net: str, engine: str, tmp_path: Path) -> None:
    path = saved(toy.NETS[net](), tmp_path)
    half = tmp_path / "half.onnx"
    onnx.save(halve_model(path, toy.images(12)).model, half)
    assert farthest(half, engine, path) < 1e-2


@pytest.mark.parametrize("net", ["plain", "residual", "depthwise", "concat"])
def test_int8_answers_as_its_own_graph_says(net: str, engine: str, tmp_path: Path) -> None:
    int8 = symmetric_int8(saved(toy.NETS[net](), tmp_path))
    assert farthest(int8, engine, int8) < 0.03


def test_an_open_batch_of_any_size(engine: str, tmp_path: Path) -> None:
    model = toy.plain()
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    path = saved(model, tmp_path)
    ours, theirs = opened(path, engine), opened(path, "onnxruntime")
    assert ours.inputs == theirs.inputs
    for count in (1, 5, MAX_BATCH, 2 * MAX_BATCH + 3, 1):
        (images,) = toy.images(1, batch=count, seed=count)()
        given = ours.run({"image": images})["logits"]
        assert given.shape == (count, toy.CLASSES)
        np.testing.assert_allclose(given, theirs.run({"image": images})["logits"], atol=1e-3)
    ours.close()


def test_the_second_start_builds_nothing(engine: str, tmp_path: Path) -> None:
    path = saved(toy.plain(), tmp_path)
    first = opened(path, engine)
    assert first.facts["graph"] == "built"
    first.run({"image": next(toy.images(1)())})
    first.close()
    second = opened(path, engine)
    assert second.facts["graph"] == "cached"
    second.close()
    assert not compiled(path, engine).built


def test_a_plan_that_is_damaged_behind_its_header_is_built_again(
    engine: str, tmp_path: Path
) -> None:
    path = saved(toy.plain(), tmp_path)
    plan = compiled(path, engine).graph
    plan.write_bytes(plan.read_bytes()[:64])
    ours = opened(path, engine)
    assert ours.facts["graph"] == "built"
    ours.close()


def test_memory_is_given_back(engine: str, tmp_path: Path) -> None:
    path = saved(toy.plain(), tmp_path)
    opened(path, engine).close()
    cuda = Cuda()
    before = cuda.free_bytes()
    for _ in range(5):
        opened(path, engine).close()
    assert cuda.free_bytes() > before - (64 << 20)
    cuda.close()


def test_a_tensor_that_does_not_fit_is_refused(engine: str, tmp_path: Path) -> None:
    ours = opened(saved(toy.plain(), tmp_path), engine)
    image = next(toy.images(1)())
    for wrong in (image[:, :, :8], image.astype(np.float64)):
        with pytest.raises(EngineError, match="input 'image' takes float32 1x3x16x16"):
            ours.run({"image": wrong})
    ours.close()
