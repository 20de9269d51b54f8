"""What a file's contract says about how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecnn.errors import EdgecnnError
from edgecnn.onnxfile import read_contract


def quantize_step(file: Path) -> Mapping[str, Any]:
    """The step that quantized a file; empty for files from elsewhere."""
    try:
        steps = read_contract(file).provenance.get("steps", ())
    except EdgecnnError:
        return {}
    return next((dict(step) for step in reversed(steps) if step.get("step") == "quantize"), {})


def float_layers(step: Mapping[str, Any]) -> tuple[str, ...]:
    """The layers that it left in float."""
    return tuple(str(name) for name in step.get("float_layers", ()))
