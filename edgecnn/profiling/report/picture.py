"""The first plot of a report as a picture: PNG or SVG."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgecnn.errors import EdgecnnError, UsageError
from edgecnn.files import atomic_path
from edgecnn.profiling.report.latencies import latency_plot
from edgecnn.profiling.report.scatter import accuracy_plot, cost_of
from edgecnn.profiling.report.style import LIGHT
from edgecnn.profiling.report.summary import Summary

PICTURES = (".png", ".svg")

_WIDTH_PX = 912
_PIXELS = 2.0  # of a PNG, for each of the plot's


def write_plot(summary: Summary, target: Path) -> None:
    """Accuracy against latency, or latency alone, on white; atomically.

    Raises UsageError for another suffix than .png and .svg, FileError, EdgecnnError where Altair
    is missing.
    """
    kind = target.suffix.lower()
    if kind not in PICTURES:
        raise UsageError(f"{target}: a plot is .png or .svg", hint="name it FILE.png or FILE.svg")
    plot = (
        accuracy_plot(summary, width_px=_WIDTH_PX, cost=cost_of(summary))
        if summary.has_accuracy
        else latency_plot(summary)
    )
    drawn = _drawn(_colored(plot | {"width": _WIDTH_PX}), kind)
    with atomic_path(target) as temporary:
        temporary.write_bytes(drawn)


def _drawn(spec: dict[str, Any], kind: str) -> bytes:
    try:
        import vl_convert
    except ImportError as error:
        raise EdgecnnError(
            "a picture needs vl-convert, which is not installed",
            hint="pip install 'edgecnn[report]'",
        ) from error
    if kind == ".svg":
        return str(vl_convert.vegalite_to_svg(spec)).encode()
    return bytes(vl_convert.vegalite_to_png(spec, scale=_PIXELS))


def _colored(spec: dict[str, Any]) -> dict[str, Any]:
    """The page's variables as the colours that they have in the light."""
    text = json.dumps(spec)
    for name, color in LIGHT.items():
        text = text.replace(name, color)
    colored: dict[str, Any] = json.loads(text)
    colored["config"] = colored["config"] | {"background": LIGHT["var(--page)"]}
    return colored
