"""Our side of the NVIDIA driver, held against a driver that is compiled here and has no GPU.

What it cannot show is what a GPU does: those tests are in test_tensorrt_gpu.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import requirements, toy
from tests.runtime.opening import saved

SOURCE = Path(__file__).with_name("fake_cuda.c")


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a libcuda.so.1."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler here")
    folder = tmp_path_factory.mktemp("driver")
    command = [compiler, "-shared", "-fPIC", "-o", str(folder / "libcuda.so.1"), str(SOURCE)]
    subprocess.run(command, check=True)
    return folder


def run(driver: Path, code: str, *, kind: str = "") -> str:
    """What a process says that finds this driver."""
    environment = {**os.environ, "LD_LIBRARY_PATH": str(driver), "FAKE_CUDA": kind}
    start = (
        "import ctypes, numpy as np\n"
        "from edgecnn.errors import EngineError\n"
        "from edgecnn.runtime.engines.cuda import Cuda, find_gpu\n"
        "try:\n    "
    )
    end = "\nexcept EngineError as error: print('EngineError', error, '|', error.hint)\n"
    done = subprocess.run(
        [sys.executable, "-c", start + code.strip().replace("\n", "\n    ") + end],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_gpu_is_described(driver: Path) -> None:
    said = run(driver, "print(find_gpu())")
    wanted = "name='Fake 7', compute_capability=87, integrated=False, driver='CUDA 13.2'"
    assert said == f"Gpu({wanted})"
    assert "integrated=True" in run(driver, "print(find_gpu())", kind="integrated")


def test_a_driver_without_a_gpu(driver: Path) -> None:
    said = run(driver, "find_gpu()", kind="none")
    assert said.startswith("EngineError the NVIDIA driver finds no GPU | ")


ROUND_TRIP = """
cuda = Cuda()
buffer = cuda.buffer((4, 3), "float32")
values = np.arange(6, dtype=np.float32).reshape(2, 3)
buffer.host((2, 3))[...] = values
buffer.to_device(cuda.stream, values.nbytes)
if KIND != "integrated":
    assert buffer.address > 1 << 32
    buffer.host((4, 3))[...] = 0
buffer.to_host(cuda.stream, values.nbytes)
cuda.wait()
print(buffer.host((2, 3)).tolist(), cuda.free_bytes() >> 30)
buffer.free()
cuda.close()
print(ctypes.CDLL("libcuda.so.1").fake_open_buffers())
"""


@pytest.mark.parametrize("kind", ["", "integrated"])
def test_values_come_back_and_memory_is_given_back(driver: Path, kind: str) -> None:
    said = run(driver, ROUND_TRIP.replace("KIND", repr(kind)), kind=kind)
    assert said.splitlines() == ["[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]] 6", "0"]


def test_a_full_gpu_is_told(driver: Path) -> None:
    said = run(driver, 'Cuda().buffer((1, 3), "float32")', kind="full")
    assert said.startswith("EngineError the GPU is out of memory (cuMemHostAlloc) | ")


def test_another_failure_is_told_in_the_drivers_words(driver: Path) -> None:
    code = "cuda = Cuda()\nctypes.CDLL('libcuda.so.1').cuCtxSetCurrent(None)\ncuda.free_bytes()"
    said = run(driver, code)
    assert "EngineError the NVIDIA driver failed: cuMemGetInfo_v2: invalid device context" in said


OPENED = """
from pathlib import Path
from edgecnn.runtime.compiled import open_engine
from edgecnn.runtime.engines.tensorrt import TensorrtEngine
from edgecnn.runtime.engines.trt_plans import Plan, library
folder = Path(FOLDER)
for open_it in (
    lambda: open_engine(folder / "net.onnx", engine="tensorrt-rtx", sha256="abc"),
    lambda: TensorrtEngine(library("tensorrt-rtx"), Plan(folder, False, "tensorrt-rtx", (1,))),
):
    try:
        open_it()
    except EngineError as error:
        print(error, "|", error.hint)
library = ctypes.CDLL("libcuda.so.1")
print(library.fake_open_streams(), library.fake_open_buffers())
"""


def test_a_driver_that_tensorrt_cannot_use_and_a_damaged_plan_leave_nothing_on_the_gpu(
    driver: Path, tmp_path: Path
) -> None:
    requirements.tensorrt_rtx()
    saved(toy.plain(), tmp_path)
    (tmp_path / "model.plan").write_bytes(b"vtrt" + bytes(100))
    built, loaded, left = run(driver, OPENED.replace("FOLDER", repr(str(tmp_path)))).splitlines()
    assert "net.onnx: the engine cannot be built: the NVIDIA driver is too old" in built
    assert "| update the driver" in built
    assert "model.plan: the plan cannot be loaded: " in loaded
    assert left == "0 0"
