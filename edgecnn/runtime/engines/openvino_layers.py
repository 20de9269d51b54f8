"""The layers that OpenVINO makes of a file, and their times."""

from __future__ import annotations

import itertools
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.runtime.engines.base import Feeds, Layer
from edgecnn.runtime.engines.openvino import OpenvinoEngine, import_blob

_PRECISIONS = {
    "u8": "int8", "i8": "int8", "f32": "fp32", "f16": "fp16", "bf16": "bf16",
}  # fmt: skip
_WITHOUT_BIAS = "/WithoutBiases"  # what OpenVINO calls a layer whose bias it has taken apart
_NOT_LAYERS = ("Input", "Const", "Output")


class OpenvinoProfiled:
    """A blob that is loaded with its counters on."""

    def __init__(self, blob: Path, *, engine: str, threads: int) -> None:
        compiled = import_blob(blob, engine=engine, threads=threads, profiled=True)
        self._engine = OpenvinoEngine(compiled, engine=engine, graph="profiled", threads=threads)
        self.inputs = self._engine.inputs
        self._layers = _layers(compiled.get_runtime_model())
        self._runs = self._warm_runs = 0
        self._warm_ms = np.zeros(len(self._layers))

    def run(self, feeds: Feeds) -> None:
        """Run once; raises EngineError."""
        self._engine.run(feeds)
        self._runs += 1

    def begin(self) -> None:
        """From here on runs count."""
        self._warm_runs, self._warm_ms = self._runs, self._total_ms()

    def stop(self) -> tuple[tuple[Layer, ...], NDArray[np.float64]]:
        """The layers, and one row with the means of their times in the runs that count."""
        times_ms = (self._total_ms() - self._warm_ms) / max(1, self._runs - self._warm_runs)
        self._engine.close()
        ran = times_ms > 0  # of what is fused into another layer it tells no time
        layers = tuple(itertools.compress(self._layers.values(), ran))
        return layers, times_ms[np.newaxis, ran]

    def _total_ms(self) -> NDArray[np.float64]:
        """What each layer has taken in all runs so far: OpenVINO tells the mean of them."""
        told = {item.node_name: item.real_time for item in self._engine.counters()}
        times = (told.get(name, timedelta()) for name in self._layers)  # it tells not all of them
        return self._runs * 1e3 * np.array([time.total_seconds() for time in times])


def _layers(runtime_model: Any) -> dict[str, Layer]:
    """By OpenVINO's name of it, each layer that takes time; in the order in which they run."""
    found = {}
    for operation in runtime_model.get_ordered_ops():
        told = {key: _text(value) for key, value in operation.get_rt_info().items()}
        kind = told.get("layerType", "")
        if kind in _NOT_LAYERS:
            continue
        name = operation.get_friendly_name()
        names = filter(None, told.get("originalLayersNames", "").split(","))
        origins = tuple(dict.fromkeys(each.removesuffix(_WITHOUT_BIAS) for each in names))
        precision = _PRECISIONS.get(told.get("runtimePrecision", ""), "")
        found[name] = (int(told.get("execOrder", "0")), Layer(name, kind, precision, origins))
    ordered = sorted(found.values(), key=lambda item: item[0])
    return {layer.name: layer for _, layer in ordered}


def _text(value: Any) -> str:
    return str(getattr(value, "value", value))
