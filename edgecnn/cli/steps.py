"""What made a file, in words: the steps of a contract's provenance as `inspect` shows them.

A contract may come from a stranger or from another version, so nothing in a step is taken for
granted: what is not there, or is no value of the kind that it should be, is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Line = tuple[str, str]
_Found = Mapping[str, Any]

_SHA256_DIGITS = 12
_MOST = 4  # names on a line


def told(provenance: _Found) -> Iterator[Line]:
    """The calibration images, then each step with its check and its budget, as (label, text)."""
    images = _dict(provenance, "calibration")
    if images:
        yield "calibration", _joined(*_images(images))
    for step in provenance.get("steps", ()):
        yield from _told_step(step)


def _told_step(step: _Found) -> Iterator[Line]:
    name = str(step.get("step", "unknown"))
    words = _joined(*_STEPS.get(name, _other)(step))
    yield "step", f"{name}: {words}" if words else name
    check = _dict(step, "check") or _dict(step, "parity")
    under = (
        ("repairs", _list(step, "kept")),
        ("float", _list(step, "float_layers")),
        ("check", _check(check)),
        ("worst", _worst(_dict(check, "worst_layer"))),
        ("budget", _budget(_dict(step, "budget"))),
    )
    for label, parts in under:
        if text := _joined(*parts):
            yield f"  {label}", text


def _export(step: _Found) -> Iterator[str]:
    yield _said(step, "exporter", "by {}")
    yield _said(step, "opset", "opset {}")
    yield _said(step, "batch", "batch {}")
    nodes = step.get("nodes")
    if isinstance(nodes, list) and len(nodes) == 2:
        yield f"{nodes[0]} -> {nodes[1]} nodes"


def _quantize(step: _Found) -> Iterator[str]:
    yield _said(step, "target", "for {}")
    yield _said(step, "method", "ranges by {}")
    yield _said(step, "effort", "effort {}")
    if step.get("per_tensor") is True:
        yield "one scale a weight"


def _half(step: _Found) -> Iterator[str]:
    yield _said(step, "layers", "{} layers in FP16")
    images = _joined(*_images(_dict(step, "images")))
    yield images and f"on {images}"


def _other(step: _Found) -> Iterator[str]:
    told = ((key, _said(step, key, "{}")) for key in step if key != "step")
    yield from (f"{key} {text}" for key, text in told if text)


_STEPS: dict[str, Callable[[_Found], Iterator[str]]] = {
    "export": _export,
    "quantize": _quantize,
    "half": _half,
}


def _images(found: _Found) -> Iterator[str]:
    yield _said(found, "images", "{} images") + _said(found, "name", " of {}")
    yield _said(found, "sha256", f"sha256 {{:.{_SHA256_DIGITS}}}")


def _check(check: _Found) -> Iterator[str]:
    yield _said(check, "images", "{} images")
    yield _said(check, "sqnr_db", "SQNR {:.1f} dB")
    yield _said(check, "max_abs_diff", "max |diff| {:.1e}")
    yield _said(check, "top1_equal", "top-1 equal on {}")
    boxes = _dict(check, "boxes")
    if boxes:  # of a detector the best class says nothing
        yield _said(boxes, "found", "{}") + _said(boxes, "boxes", " of {} boxes found again")
    else:
        yield _hundredfold(check, "top1_agreement", "top-1 agreement {:.1f} %")


def _worst(worst: _Found) -> Iterator[str]:
    yield _said(worst, "name", "{}")
    yield _said(worst, "error_here_db", "error {:.1f} dB")
    yield _said(worst, "cause", "{}")


def _budget(budget: _Found) -> Iterator[str]:
    """`drop 0.3 points (-0.2 to 0.8), 0.5 allowed: held`, and who judged."""
    is_drop = budget.get("metric") == "drop"
    unit, wanted = ("points", "allowed") if is_drop else ("%", "% wanted")
    interval = budget.get("interval")
    ends = dict(enumerate(interval)) if isinstance(interval, list) else {}
    span = _joined(*(_hundredfold(ends, end, "{:.1f}") for end in (0, 1)), between=" to ")
    value = _hundredfold(budget, "value", f"{{:.1f}} {unit}")
    yield _joined(_said(budget, "metric", "top-1 {}"), value, span and f"({span})", between=" ")
    yield _hundredfold(budget, "limit", f"{{:g}} {wanted}")
    yield _said(budget, "judged_on", "on {}")
    yield _said(budget, "verdict", "{}")


def _hundredfold(found: Mapping[Any, Any], key: object, words: str) -> str:
    value = found.get(key)
    return _said({key: 100 * value}, key, words) if isinstance(value, (int, float)) else ""


def _said(found: Mapping[Any, Any], key: object, words: str) -> str:
    """`words` with the value of a key in them, empty where there is none that fits."""
    value = found.get(key)
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        return ""
    try:
        return words.format(value)
    except (ValueError, OverflowError):
        return ""


def _list(found: _Found, key: str) -> Iterator[str]:
    """Names out of a list, the first few of many; of layers with a reason the layer's."""
    items = found.get(key)
    names = [
        str(item.get("layer", "?") if isinstance(item, Mapping) else item)
        for item in (items if isinstance(items, list) else ())
    ]
    yield from names[:_MOST]
    if len(names) > _MOST:
        yield f"and {len(names) - _MOST} more"


def _dict(found: _Found, key: str) -> _Found:
    value = found.get(key)
    return value if isinstance(value, Mapping) else {}


def _joined(*parts: str, between: str = ", ") -> str:
    return between.join(filter(None, parts))
