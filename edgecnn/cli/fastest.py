"""What `edgecnn compile --engine auto` says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.cli.speak import Speaker

if TYPE_CHECKING:
    from edgecnn.pipeline.fastest import Fastest, Verdict
    from edgecnn.runtime.auto import Entrant
    from edgecnn.runtime.race import Ratio


def tell_fastest(speaker: Speaker, files: tuple[Path, ...]) -> None:
    """Choose the engine of each file and say what the others took; then which file to take."""
    from edgecnn.pipeline.fastest import fastest, verdicts

    chosen = []
    for path in files:
        chosen.append(fastest(path))
        for label, text in _lines(chosen[-1]):
            speaker.line(label, text)
    found = verdicts(tuple(chosen))
    for verdict in found:
        speaker.line("take", _advice(verdict))
    results = [{"file": str(each.path), **each.choice.document()} for each in chosen]
    speaker.result({"format": 1, "results": results, "take": [_document(each) for each in found]})


def _lines(found: Fastest) -> Iterator[tuple[str, str]]:
    choice = found.choice
    first, *others = choice.entrants
    threads = "1 thread" if choice.threads == 1 else f"{choice.threads} threads"
    state = "measured" if choice.made else "measured before"
    yield "compile", f"{found.path}: {first.version}, {first.p50_ms:.2f} ms ({threads}, {state})"
    for entrant in others:
        yield "", _beaten(entrant)


def _beaten(entrant: Entrant) -> str:
    if entrant.ratio is None:
        return f"not {entrant.engine}: {entrant.problem}"
    surely = "" if entrant.ratio.is_longer else ": no difference can be told"
    return f"{entrant.version}, {entrant.p50_ms:.2f} ms, {_times(entrant.ratio)} the time{surely}"


def _advice(verdict: Verdict) -> str:
    integer, plain, ratio = verdict.integer, verdict.plain, _times(verdict.ratio)
    if verdict.ratio.is_shorter:
        return f"{integer.path} on {integer.choice.engine}: {ratio} the time of {plain.path}"
    return (
        f"{plain.path} on {plain.choice.engine}: INT8 does not pay here, "
        f"{integer.path} takes {ratio} its time"
    )


def _times(ratio: Ratio) -> str:
    return f"{ratio.value:.2f}x ({ratio.low:.2f}-{ratio.high:.2f})"


def _document(verdict: Verdict) -> dict[str, Any]:
    ratio = verdict.ratio
    return {
        "file": str(verdict.take.path),
        "engine": verdict.take.choice.engine,
        "int8": str(verdict.integer.path),
        "float": str(verdict.plain.path),
        "int8_over_float": {"value": ratio.value, "low": ratio.low, "high": ratio.high},
    }
