"""What the first bytes of a TensorRT plan say, so that a stale or foreign one is never loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# Bytes 0-3 name the kind. Bytes 24-27 hold the version that wrote it, one byte a part:
# printPlanVersion in https://github.com/NVIDIA/TensorRT, samples/common/sampleEngines.cpp.
_KINDS = {b"ftrt": "tensorrt", b"vtrt": "tensorrt-rtx"}
_VERSION = slice(24, 28)
_HEADER_BYTES = 28


@dataclass(frozen=True, slots=True)
class PlanHeader:
    """Which engine wrote a plan (`tensorrt` or `tensorrt-rtx`), in which version (four parts)."""

    engine: str
    version: tuple[int, ...]

    def is_from(self, engine: str, version: tuple[int, ...]) -> bool:
        """Whether this very engine wrote it; of a version with three parts these count."""
        low_bytes = tuple(part & 0xFF for part in version)
        return self.engine == engine and self.version[: len(version)] == low_bytes


def read_plan_header(path: Path) -> PlanHeader | None:
    """The header of a plan; None where the file is none, is cut off or cannot be read."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEADER_BYTES)
    except OSError:
        return None
    engine = _KINDS.get(head[:4])
    if engine is None or len(head) < _HEADER_BYTES:
        return None
    return PlanHeader(engine, tuple(head[_VERSION]))
