"""What ONNX Runtime's profiler writes: one event each time that a node has run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecnn.errors import EngineError

_SUFFIX = "_kernel_time"


@dataclass(frozen=True, slots=True)
class NodeRun:
    """One node that has run once: its name, its operator, where it ran, for how long.

    `index` is its place in the graph that was loaded, `dtype` ONNX Runtime's word for what it
    reads first; the time is in whole microseconds, cut off.
    """

    index: int
    name: str
    kind: str
    provider: str
    dtype: str
    time_us: int


def read_profile(path: Path) -> tuple[NodeRun, ...]:
    """The nodes that ran while a session was profiled, in the order in which they ran.

    Raises EngineError where the file is not what ONNX Runtime writes.
    """
    try:
        return tuple(_runs(json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineError(
            f"onnxruntime's profile cannot be read ({error})", hint="try another onnxruntime"
        ) from error


def _runs(events: list[dict[str, Any]]) -> Iterator[NodeRun]:
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_SUFFIX):
            told = event["args"]
            yield NodeRun(
                index=int(told["node_index"]),
                name=event["name"].removesuffix(_SUFFIX),
                kind=told["op_name"],
                provider=told["provider"],
                dtype=next((kind for read in told["input_type_shape"] for kind in read), ""),
                time_us=int(event["dur"]),
            )
