"""The device side runs on old and new Pythons, with NumPy and one engine library, and stays small.

`scripts/interpreters FOLDER` makes environments with the oldest and the newest versions;
EDGECNN_INTERPRETERS=FOLDER has the tests run in each of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.contract import METADATA_KEY
from edgecnn.onnxfile import model_sha256, read_header
from edgecnn.runtime import cache
from tests.profiling.toys import color_picture, write_color_net
from tests.requirements import missing

ROOT = Path(__file__).parents[2]


def run_on(python: str, net: Path, frames: Path) -> Any:
    done = subprocess.run(
        [python, "-W", "error", "-m", "tests.runtime.on_device", str(net), str(frames)],
        cwd=ROOT,
        env={**os.environ, "EDGECNN_CACHE": str(net.parent / "cache"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def interpreters() -> list[Path]:
    folder = os.environ.get("EDGECNN_INTERPRETERS")
    return sorted(Path(folder).glob("*/bin/python")) if folder else []


def test_other_interpreters_answer_the_same(tmp_path: Path) -> None:
    if not interpreters():
        missing("interpreters", "EDGECNN_INTERPRETERS names no folder of environments")
    net = write_color_net(tmp_path / "net.onnx")
    frames = tmp_path / "frames.npz"
    np.savez(frames, *[color_picture(index, side=40) for index in range(5)])
    here = run_on(sys.executable, net, frames)
    assert here["answered"] == 5
    for python in interpreters():
        there = run_on(str(python), net, frames)
        assert there["answered"] == 5
        np.testing.assert_allclose(there["answers"], here["answers"], atol=2e-3)


def test_the_runtime_loads_little_beyond_numpy() -> None:
    """By modules, whose number does not depend on how busy the machine is."""
    code = (
        "import sys, numpy; before = set(sys.modules); import edgecnn.runtime\n"
        "print(len(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 90


def test_the_runtime_does_without_openssl(tmp_path: Path) -> None:
    """It would cost 4 MB; some versions of NumPy bring it themselves."""
    code = (
        "import sys, numpy, onnxruntime; before = '_hashlib' in sys.modules\n"
        "from edgecnn.runtime import Camera, load; import edgecnn.runtime.stream\n"
        "load(sys.argv[1], threads=1)\n"
        "print(before or '_hashlib' not in sys.modules)"
    )
    net = write_color_net(tmp_path / "net.onnx")
    # As at a later start: the file is known.
    known: cache.Facts = {
        "contract": read_header(net).metadata[METADATA_KEY],
        "sha256": model_sha256(net),
    }
    cache.remembered(net, lambda: (known, True), settled_ns=0)
    command = [sys.executable, "-c", code, str(net)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_memory_beyond_the_engines_own_is_small(tmp_path: Path) -> None:
    """A camera, a stream and its buffers against the bare session, in one process each."""
    net = write_color_net(tmp_path / "net.onnx")
    bare = (
        "import numpy, onnxruntime, sys; "
        "s = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider']); "
        "s.run(None, {'image': numpy.zeros((1, 3, 16, 16), numpy.float32)})\n"
    )
    ours = (
        "import numpy, sys; from edgecnn.runtime import Camera, load\n"
        "frames = lambda: (numpy.zeros((240, 320, 3), numpy.uint8) for _ in range(50))\n"
        "model = load(sys.argv[1]); camera = Camera(frames)\n"
        "for _ in model.stream(camera): pass\n"
    )
    rss = "import os; print(int(open('/proc/self/statm').read().split()[1]) * 4096)"
    held = [
        int(
            subprocess.run(
                [sys.executable, "-c", code + rss, str(net)],
                env={**os.environ, "EDGECNN_CACHE": str(tmp_path)},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for code in (bare, ours)
    ]
    assert held[1] - held[0] < 15_000_000
