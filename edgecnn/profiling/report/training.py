"""The report of a training as one HTML file: curves, confusion matrix, worst photos, facts.

Names of classes and files are strangers' words: all of them are escaped.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray

from edgecnn import __version__
from edgecnn.files import write_text
from edgecnn.profiling.records import Accuracy
from edgecnn.profiling.report.words import escaped, percent

_WIDEST_MATRIX = 40  # classes; of more, the pairs that are confused most are listed
_PAIRS = 30
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 360, 200, 40, 22  # of a plot in pixels
_COLORS = ("var(--fp32)", "var(--int8)")


@dataclass(frozen=True, slots=True)
class Curve:
    """One plot: a title and, by name, a value for each epoch."""

    title: str
    lines: tuple[tuple[str, tuple[float, ...]], ...]


@dataclass(frozen=True, slots=True)
class Worst:
    """A photo that was answered wrongly and surely; `picture` is the address of a thumbnail."""

    picture: str
    file: str
    shown: str
    answered: str
    probability: float


@dataclass(frozen=True, slots=True)
class Training:
    """What a report tells.

    `confusion` counts held-out photos by (shown, answered); `counts` (classes, 3) photos that were
    trained with, watched and held out; `facts` are pairs of a title and a text. `kind` is what was
    learnt from: photos or sounds.
    """

    title: str
    created: datetime
    labels: tuple[str, ...]
    accuracy: Accuracy
    curves: tuple[Curve, ...]
    confusion: NDArray[np.int64]
    worst: tuple[Worst, ...]
    counts: NDArray[np.int64]
    broken: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    kind: str = "photos"


def write_training(training: Training, target: Path) -> None:
    """Write the report atomically; raises FileError."""
    write_text(target, training_page(training))


def training_page(training: Training) -> str:
    """The whole page."""
    accuracy, kind, one = training.accuracy, training.kind, training.kind[:-1]
    return Template(_part("training.html")).substitute(
        title=escaped(training.title),
        when=escaped(f"{training.created.day} {training.created:%B %Y, %H:%M}"),
        verdict=f"{percent(accuracy)}\u00a0% of {accuracy.n:,} held-out {kind} are answered right.",
        curves="\n".join(_plot(curve) for curve in training.curves),
        kind=kind,
        curves_note=f"Watched {kind} choose the epoch and say when to stop; they do not train.",
        confusion=_confusion(training),
        confusion_note=f"Held-out {kind}: a row is what a {one} is, a column what was answered.",
        worst="\n".join(_figure(photo) for photo in training.worst),
        worst_note=f"Held-out {kind} with the surest wrong answers; first look at their labels."
        if training.worst
        else f"No held-out {one} is answered wrongly.",
        classes=_classes(training),
        broken=_broken(training.broken),
        facts="\n".join(
            f"<dt>{escaped(title)}</dt><dd>{escaped(text)}</dd>" for title, text in training.facts
        ),
        css=_part("page.css"),
        version=escaped(__version__),
    )


def _plot(curve: Curve) -> str:
    values = [value for _, line in curve.lines for value in line]
    low, high = min(values), max(values)
    if high == low:
        high = low + 1
    lines = [
        _line(name, line, color, (low, high))
        for (name, line), color in zip(curve.lines, _COLORS, strict=False)
    ]
    names = " ".join(
        f'<tspan style="fill: {color}">{escaped(name)}</tspan>'
        for (name, _), color in zip(curve.lines, _COLORS, strict=False)
    )
    epochs = max(len(line) for _, line in curve.lines)
    return (
        f'<figure style="margin: 0"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
        f' aria-label="{escaped(curve.title)}">'
        f'<text x="{_LEFT}" y="10">{escaped(curve.title)}: {names}</text>'
        f'<text x="{_LEFT - 6}" y="24" text-anchor="end">{high:.3g}</text>'
        f'<text x="{_LEFT - 6}" y="{_HEIGHT - _BOTTOM}" text-anchor="end">{low:.3g}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT - 4}" text-anchor="end">epoch {epochs}</text>'
        f"{''.join(lines)}</svg></figure>"
    )


def _line(name: str, values: Sequence[float], color: str, span: tuple[float, float]) -> str:
    low, high = span
    values = values if len(values) > 1 else (*values, *values)  # one epoch: a line that is seen
    wide, tall = _WIDTH - _LEFT, _HEIGHT - _BOTTOM - 20
    step = wide / max(1, len(values) - 1)
    points = " ".join(
        f"{_LEFT + index * step:.1f},{20 + tall * (high - value) / (high - low):.1f}"
        for index, value in enumerate(values)
    )
    return (
        f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.75">'
        f"<title>{escaped(name)}</title></polyline>"
    )


def _confusion(training: Training) -> str:
    labels = [escaped(label) for label in training.labels]
    if len(labels) > _WIDEST_MATRIX:
        return _pairs(training)
    head = "".join(f'<th scope="col">{label}</th>' for label in labels)
    rows = "\n".join(
        f'<tr><th scope="row">{label}</th>{_cells(place, counts)}</tr>'
        for place, (label, counts) in enumerate(zip(labels, training.confusion, strict=True))
    )
    return (
        f'<table class="confusion"><thead><tr><th></th>{head}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table>"
    )


def _cells(place: int, counts: NDArray[np.int64]) -> str:
    whole = max(1, int(counts.sum()))
    return "".join(
        f'<td style="background: color-mix(in srgb, {_COLORS[index != place]} '
        f'{60 * count / whole:.0f}%, transparent)">{count or ""}</td>'
        for index, count in enumerate(counts.tolist())
    )


def _pairs(training: Training) -> str:
    """The pairs that are confused most, of matrices that no page holds."""
    wrong = training.confusion * (1 - np.eye(len(training.labels), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_PAIRS]
    rows = [
        f"<tr><td>{escaped(training.labels[shown])}</td>"
        f"<td>{escaped(training.labels[answered])}</td><td>{wrong[shown, answered]}</td></tr>"
        for shown, answered in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[shown, answered]
    ]
    head = '<th scope="col">shown</th><th scope="col">answered</th><th scope="col">how many</th>'
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{''.join(rows)}\n</tbody></table>"


def _figure(photo: Worst) -> str:
    told = f"{photo.shown}, answered {photo.answered} ({photo.probability:.0%})"
    return (
        f'<figure><img src="{photo.picture}" alt="{escaped(photo.file)}">'
        f"<figcaption>{escaped(told)}<br>{escaped(photo.file)}</figcaption></figure>"
    )


def _classes(training: Training) -> str:
    right = np.diag(training.confusion)
    head = ("class", "trained with", "watched", "held out", "of these right")
    titles = "".join(f'<th scope="col">{title}</th>' for title in head)
    rows = "\n".join(
        f'<tr><th scope="row">{escaped(label)}</th>'
        + "".join(f"<td>{count:,}</td>" for count in (*counts.tolist(), int(hits)))
        + "</tr>"
        for label, counts, hits in zip(training.labels, training.counts, right, strict=True)
    )
    return f"<table><thead><tr>{titles}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>"


def _broken(broken: Sequence[str]) -> str:
    if not broken:
        return ""
    items = "".join(f"<li>{escaped(text)}</li>" for text in broken)
    return f'<p class="note">Left out:</p><ul class="note">{items}</ul>'


def _part(name: str) -> str:
    folder = importlib.resources.files("edgecnn.profiling.report")
    return folder.joinpath(name).read_text(encoding="utf-8")
