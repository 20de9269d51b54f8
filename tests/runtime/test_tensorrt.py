"""TensorRT-RTX builds real plans here, without a GPU; nothing in this file runs one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper
from onnxruntime.quantization import CalibrationDataReader, quantize_static

from edgecnn.errors import EngineError, ModelError, UsageError
from edgecnn.graph.quantize import quantize_model
from edgecnn.onnxfile import model_sha256
from edgecnn.runtime import cache
from edgecnn.runtime.compiled import compile_engine, open_engine
from edgecnn.runtime.engines.plan_file import read_plan_header
from edgecnn.runtime.engines.trt_build import BuildOptions, build_plan, workspace_ladder
from edgecnn.runtime.engines.trt_log import Log
from tests import requirements, toy
from tests.runtime.opening import saved

AHEAD = BuildOptions(compute_capabilities=(86,))


@pytest.fixture(scope="module")
def rtx() -> Any:
    return requirements.tensorrt_rtx()


def compiled(path: Path, *capabilities: int, engine: str = "tensorrt-rtx") -> tuple[Path, bool]:
    found = compile_engine(
        path, engine=engine, sha256=model_sha256(path), compute_capabilities=capabilities
    )
    return found.graph, found.built


@pytest.mark.parametrize("net", toy.NETS)
def test_it_builds(net: str, rtx: Any, tmp_path: Path) -> None:
    plan = build_plan(rtx, saved(toy.NETS[net](), tmp_path), options=AHEAD)
    assert plan[:4] == b"vtrt"


def test_the_builder_says_how_far_it_is(rtx: Any, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    path = saved(toy.plain(), tmp_path)
    build_plan(rtx, path, options=AHEAD, progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    done, total = told[-1]
    assert done == total > 1


def test_an_open_batch_gets_a_profile(rtx: Any, tmp_path: Path) -> None:
    model = toy.plain()
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    assert build_plan(rtx, saved(model, tmp_path), options=AHEAD)


def test_an_open_height_is_refused(rtx: Any, tmp_path: Path) -> None:
    model = toy.plain()
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    with pytest.raises(EngineError, match="open height or width"):
        build_plan(rtx, saved(model, tmp_path), options=AHEAD)


def test_what_the_parser_refuses_is_said_in_our_words(rtx: Any, tmp_path: Path) -> None:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3, 8, 8])
    node = helper.make_node("Nonsense", ["image"], ["out"], domain="elsewhere")
    graph = helper.make_graph([node], "g", [image], [out])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("elsewhere", 1)]
    path = saved(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path)
    with pytest.raises(EngineError, match=r"net\.onnx: TensorRT .*at the Nonsense") as caught:
        build_plan(rtx, path, options=AHEAD)
    assert "\n" not in str(caught.value)


def test_a_driver_that_is_too_old_is_said_in_our_words(rtx: Any) -> None:
    """The bindings know only that they were given nothing; why stands in the log."""
    log = Log(rtx)

    def nothing(handle: Any) -> None:
        handle.log(rtx.ILogger.ERROR, "Unable to initialize: cudaError 35: CUDA driver version is "
                   "insufficient for CUDA runtime version")  # fmt: skip
        raise TypeError("pybind11::init(): factory function returned nullptr")

    with pytest.raises(EngineError, match="does not start: the NVIDIA driver is too old") as caught:
        log.started(nothing)
    assert "update the driver" in caught.value.hint


def test_int8_for_another_engine_is_refused_with_the_way_out(rtx: Any, tmp_path: Path) -> None:
    quantized = quantize_model(toy.residual(), toy.images(16), target="onnxruntime-x86")
    with pytest.raises(EngineError, match="has zero points") as caught:
        build_plan(rtx, saved(quantized.model, tmp_path), options=AHEAD)
    assert "--target tensorrt" in caught.value.hint


@pytest.mark.parametrize("net", ["plain", "residual", "depthwise", "concat"])
def test_symmetric_int8_builds(net: str, rtx: Any, tmp_path: Path) -> None:
    plan = build_plan(rtx, symmetric_int8(saved(toy.NETS[net](), tmp_path)), options=AHEAD)
    assert plan[:4] == b"vtrt"


def symmetric_int8(path: Path) -> Path:
    """INT8 as TensorRT takes it, by ONNX Runtime's own quantizer."""

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._images = toy.images(4)()

        def get_next(self) -> dict[str, Any] | None:
            image = next(self._images, None)
            return None if image is None else {"image": image}

    target = path.with_name("net.int8.onnx")
    quantize_static(
        path,
        target,
        Reader(),
        per_channel=True,
        extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
    )
    return target


def test_what_is_no_onnx_file_never_reaches_tensorrt(rtx: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"hello")  # TensorRT's parser takes it for an empty network
    with pytest.raises(ModelError, match="not an ONNX file"):
        build_plan(rtx, path, options=AHEAD)


def test_the_second_time_nothing_is_built(rtx: Any, tmp_path: Path) -> None:
    path = saved(toy.plain(), tmp_path)
    plan, built = compiled(path, 86)
    assert built
    assert compiled(path, 86) == (plan, False)
    header = read_plan_header(plan)
    assert header is not None
    assert header.engine == "tensorrt-rtx"
    assert ".".join(map(str, header.version)) == rtx.__version__


def test_another_gpu_or_another_file_is_another_plan(rtx: Any, tmp_path: Path) -> None:
    path = saved(toy.plain(), tmp_path)
    plans = {compiled(path, 86)[0], compiled(path, 89)[0], compiled(path, 86, 89)[0]}
    plans.add(compiled(saved(toy.residual(), tmp_path), 86)[0])
    assert len(plans) == 4


@pytest.mark.parametrize(
    ("start", "stop", "value"),
    [(0, 4, b"ftrt"), (27, 28, b"\x00"), (0, 40, b""), (0, None, b"")],
    ids=["of TensorRT", "of another build", "cut at the front", "empty"],
)
def test_a_stale_or_foreign_plan_is_built_again_and_never_loaded(
    start: int, stop: int | None, value: bytes, rtx: Any, tmp_path: Path
) -> None:
    path = saved(toy.plain(), tmp_path)
    plan, _ = compiled(path, 86)
    good = plan.read_bytes()
    plan.write_bytes(good[:start] + value + (good[stop:] if stop else b""))
    _restamp(plan)
    assert compiled(path, 86) == (plan, True)
    assert plan.read_bytes()[:28] == good[:28]


def _restamp(plan: Path) -> None:
    """Make the cache believe that the file is the one which was built."""
    about = plan.parent / "about.json"
    document = json.loads(about.read_text())
    status = plan.stat()
    document["files"][plan.name] = [status.st_size, status.st_mtime_ns]
    about.write_text(json.dumps(document))


def test_a_gpu_that_it_does_not_build_for(rtx: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not build for compute capability 87") as caught:
        compiled(saved(toy.plain(), tmp_path), 87)
    assert "86" in caught.value.hint


@pytest.mark.parametrize("engine", ["tensorrt", "onnxruntime"])
def test_only_rtx_builds_for_gpus_elsewhere(engine: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"compute.capability"):
        compiled(saved(toy.plain(), tmp_path), 86, engine=engine)


def without_driver() -> bool:
    code = "import ctypes; ctypes.CDLL('libcuda.so.1')"
    return subprocess.run([sys.executable, "-c", code], capture_output=True).returncode != 0


@pytest.mark.parametrize("engine", ["tensorrt", "tensorrt-rtx"])
def test_without_a_driver_tensorrt_is_never_asked(engine: str, tmp_path: Path) -> None:
    if not without_driver():
        pytest.skip("there is an NVIDIA driver here")
    path = saved(toy.plain(), tmp_path)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from edgecnn.errors import EngineError\n"
        "from edgecnn.runtime.compiled import open_engine\n"
        f"try: open_engine(Path({str(path)!r}), engine={engine!r}, sha256='abc')\n"
        "except EngineError as error: print(error)\n"
        "print([name for name in sys.modules if name.startswith('tensorrt')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "there is no NVIDIA driver here" in done.stdout
    assert done.stdout.endswith("[]\n")


def test_without_a_gpu_loading_says_so(tmp_path: Path) -> None:
    if not without_driver():
        pytest.skip("there is an NVIDIA driver here")
    path = saved(toy.plain(), tmp_path)
    with pytest.raises(EngineError, match="NVIDIA driver") as caught:
        open_engine(path, engine="tensorrt", sha256="abc")
    assert "--compute-capability" in caught.value.hint
    assert cache.entries() == ()


def test_workspace_goes_from_much_to_little() -> None:
    gibibyte = 1 << 30
    assert workspace_ladder(8 * gibibyte) == (4 * gibibyte, gibibyte, 64 << 20)
    assert workspace_ladder(100 << 20) == (64 << 20,)
    assert workspace_ladder(None) == (None,)
