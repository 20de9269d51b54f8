"""The layers that ONNX Runtime makes of a file on the CPU, and their times."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import EngineError
from edgecnn.runtime.engines import ort
from edgecnn.runtime.engines.base import Feeds, Layer
from edgecnn.runtime.engines.ort_graph import GraphNode, read_nodes
from edgecnn.runtime.engines.ort_profile import NodeRun, read_profile

_PRECISIONS = {"uint8": "int8", "int8": "int8", "float": "fp32", "float16": "fp16"}
# What ONNX Runtime puts behind the name of a node or a tensor where it changes the layout.
_SUFFIX = re.compile(r"(_token_\d+|_nchwc|_nhwc)+$")
_CUT_OFF_US = 0.5  # whole microseconds are told: on average half of one is missing


class OrtProfiled:
    """A graph that `ort.optimise` wrote, in a session whose profiler is on."""

    def __init__(self, graph: Path, *, threads: int) -> None:
        self._nodes = read_nodes(graph)
        self._folder = tempfile.TemporaryDirectory(prefix="edgecnn-")
        options = ort.session_options(threads=threads, optimised=True)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(self._folder.name) / "profile")
        self._session = ort.open_session(graph, options)
        self._engine = ort.OrtEngine(self._session, graph="profiled", threads=threads)
        self.inputs = self._engine.inputs
        self._runs = 0

    def run(self, feeds: Feeds) -> None:
        """Run once; raises EngineError."""
        self._engine.run(feeds)
        self._runs += 1

    def begin(self) -> None:
        """From here on runs count."""
        self._runs = 0

    def stop(self) -> tuple[tuple[Layer, ...], NDArray[np.float64]]:
        """The layers, and their times in each run that counts; raises EngineError."""
        runs = self._runs
        with self._folder:
            found = read_profile(Path(self._session.end_profiling()))
        last = found[-(len(found) // max(1, _times_run(found))) :]
        count = len(last)
        if not runs or len(found) < runs * count or count != len({run.index for run in last}):
            raise EngineError(
                "onnxruntime's profile has not the same nodes in each run",
                hint="a graph with loops or branches cannot be told apart by layers",
            )
        column = {run.index: place for place, run in enumerate(last)}
        times_us = np.empty((runs, count))
        for place, run in enumerate(found[-runs * count :]):
            times_us[place // count, column[run.index]] = run.time_us + _CUT_OFF_US
        return tuple(self._layer(run) for run in last), times_us / 1e3

    def _layer(self, run: NodeRun) -> Layer:
        known = run.index < len(self._nodes) and self._nodes[run.index].kind == run.kind
        node = self._nodes[run.index] if known else GraphNode(run.name, run.kind, (), ())
        names = (_SUFFIX.sub("", name) for name in (node.name, *node.outputs))
        origins = tuple(dict.fromkeys(filter(None, names)))
        return Layer(run.name, run.kind, _PRECISIONS.get(run.dtype, ""), origins)


def _times_run(found: tuple[NodeRun, ...]) -> int:
    """How often the node that ran last has run."""
    return sum(run.index == found[-1].index for run in found) if found else 0
