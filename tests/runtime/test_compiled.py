"""What a start finds in the cache, and what it need not do again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgecnn.graph.session import Session
from edgecnn.onnxfile import model_sha256
from edgecnn.runtime.compiled import compile_engine, open_engine
from tests import toy
from tests.profiling.toys import write_color_net

# Loads a model twice and tells how often Python opened its file, each time.
OPENED = """
import sys
from edgecnn.runtime import load
opened = []
sys.addaudithook(lambda event, args: event == "open" and opened.append(str(args[0])))
for _ in range(2):
    del opened[:]
    with load(sys.argv[1], threads=1) as model:
        graph = model.facts["graph"]
    print(graph, opened.count(sys.argv[1]))
"""

# Loads a model, runs it, and tells whether its engine was built.
STARTED = """
import sys
from edgecnn.runtime import load
with load(sys.argv[1], engine="onnxruntime", threads=1) as model:
    model.warm_up()
    print(model.facts["graph"])
"""


def test_large_weights_lie_beside_the_graph_and_are_mapped(tmp_path: Path) -> None:
    net = toy.Net()
    file = tmp_path / "net.onnx"
    onnx.save(net.model(net.head(net.relu(net.conv(net.relu(net.conv("image", 64)), 64)))), file)
    sha256 = model_sha256(file)
    compiled = compile_engine(file, engine="onnxruntime", sha256=sha256)
    weights = compiled.folder / "model.weights"
    assert weights.stat().st_size >= 4 * 64 * 64 * 9
    assert compiled.graph.stat().st_size < 20_000
    assert compiled.size_bytes > weights.stat().st_size
    (expected,) = Session(file).run(next(toy.images(1)()))
    engine = open_engine(file, engine="onnxruntime", sha256=sha256, threads=1)
    assert engine.facts["graph"] == "cached"
    mapped = Path("/proc/self/maps").read_text(encoding="utf-8")
    assert str(weights) in mapped
    (answer,) = engine.run({"image": next(toy.images(1)())}).values()
    engine.close()
    np.testing.assert_allclose(answer, np.asarray(expected), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_a_second_start_neither_reads_nor_walks_the_file(tmp_path: Path) -> None:
    file = write_color_net(tmp_path / "net.onnx")
    time.sleep(2.1)  # a file that is younger may change again under the same times
    said = subprocess.run(
        [sys.executable, "-c", OPENED, str(file)],
        env={**os.environ, "EDGECNN_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = said.stdout.splitlines()
    assert first.startswith("built ")
    assert first != "built 0"
    assert second == "cached 0"


@pytest.mark.slow
def test_of_ten_processes_that_start_at_once_one_builds_and_all_run(tmp_path: Path) -> None:
    file = write_color_net(tmp_path / "net.onnx")
    command = [sys.executable, "-c", STARTED, str(file)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(10)]
    said = [process.communicate()[0].strip() for process in started]
    assert sorted(said) == ["built", *["cached"] * 9]
