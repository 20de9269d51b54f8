"""A model on a camera, told on the terminal: what `classify` and `profile --source` do."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from edgecnn.cli.speak import Speaker, printable
from edgecnn.errors import DeviceError
from edgecnn.runtime import Camera, Classification, Detections, Embedding
from edgecnn.runtime.results import top_k

if TYPE_CHECKING:
    from edgecnn.pipeline.contracts import ContractOptions
    from edgecnn.pipeline.record import Recorder
    from edgecnn.pipeline.window import Window
    from edgecnn.runtime import Model
    from edgecnn.runtime.model import Result
    from edgecnn.runtime.stream import Answer, Stream
    from edgecnn.runtime.streamstats import Spread, StreamStats

_SHOWN_EACH_S = 0.1
_BAR_WIDTH = 20
_EIGHTHS = " ▏▎▍▌▋▊▉"


@dataclass(frozen=True, slots=True)
class Live:
    """What is asked of a live view; `top` classes or boxes are shown, `seconds` end it.

    `window` None is: one where a terminal looks on and it can be opened.
    """

    source: str
    top: int = 5
    seconds: float | None = None
    record: Path | None = None
    deadline_ms: float | None = None
    smoothing: float = 0.0
    threshold: float = 0.0
    metrics_port: int | None = None
    watch_ranges: bool = False
    window: bool | None = None


def watch(speaker: Speaker, model: Model, live: Live) -> StreamStats:
    """Show the answers until the source ends, the time is over or Ctrl-C; then the summary.

    With `--json` each answer is one line, and the summary the last one.
    """
    view = _View(speaker, live)
    with (
        _window(speaker, model, live) as shown,
        Camera(live.source) as camera,
        model.stream(
            camera,
            deadline_ms=live.deadline_ms,
            smoothing=live.smoothing,
            threshold=live.threshold,
            metrics_port=live.metrics_port,
            watch_ranges=live.watch_ranges,
        ) as stream,
        _recorder(live.record) as recorder,
    ):
        if live.watch_ranges and "ranges" not in stream.stats().watched:
            speaker.warn(_no_ranges(model, stream.stats().watched))
        if stream.metrics_port is not None:
            speaker.line("metrics", f"http://127.0.0.1:{stream.metrics_port}/metrics")
        with contextlib.suppress(KeyboardInterrupt):  # the way to end a camera
            for answer in _answers(stream, live.seconds):
                lines = described(answer.result, live.top)
                view.show(answer, lines, stream)
                if recorder is not None:
                    recorder.add(answer, lines)
                if shown is not None and not shown.show(answer, lines):
                    break
        stats = stream.stats()
    view.close()
    speaker.print(summary(stats))
    for message in stats.drift:
        speaker.warn(message)
    if live.record is not None:
        speaker.line("wrote", str(live.record))
    speaker.result({"summary": dataclasses.asdict(stats)})
    return stats


def _no_ranges(model: Model, watched: Sequence[str]) -> str:
    """Why --watch-ranges does nothing, and what is watched instead."""
    instead = f"; {' and '.join(watched)} are watched" if watched else ""
    return (
        f"{model.path} remembers no ranges of inner layers (an INT8 file remembers them that this "
        f"version has quantized){instead}"
    )


def described(result: Result, top: int) -> tuple[tuple[str, float], ...]:
    """What is on a frame, best first: names and shares of 1; of an embedding nothing."""
    if isinstance(result, Classification):
        return tuple((label.name, label.score) for label in result.top(top))
    if isinstance(result, Detections):
        pairs = zip(result.names[:top], result.scores[:top].tolist(), strict=True)
        return tuple(pairs)
    if isinstance(result, Embedding):
        return ()
    shares = np.bincount(result.classes.ravel()) / result.classes.size
    return tuple((result.contract.label(index), share) for index, share in top_k(shares, top))


def answer_json(result: Result, top: int) -> dict[str, Any]:
    """What is on a frame, for scripts; of a detector all boxes, of an embedding all values."""
    if isinstance(result, Detections):
        boxes = zip(result.classes, result.names, result.scores, result.boxes, strict=True)
        return {
            "boxes": [
                {"index": int(index), "name": name, "score": float(score), "box": box.tolist()}
                for index, name, score, box in boxes
            ]
        }
    if isinstance(result, Classification):
        return {"labels": [dataclasses.asdict(label) for label in result.top(top)]}
    if isinstance(result, Embedding):
        return {"embedding": result.vector.tolist()}
    return {"shares": [{"name": name, "share": share} for name, share in described(result, top)]}


def summary(stats: StreamStats) -> str:
    """One line: the rate, photon to label, what was lost."""
    latency, age = stats.latency_ms, stats.age_ms
    if latency is None or age is None:
        return "no frame was answered"
    return (
        f"{stats.fps:.1f} fps   frame to label {latency.p50:.1f} ms (p50) {latency.p99:.1f} (p99)"
        f"   age {age.p50:.0f} ms   dropped {stats.dropped}   late {stats.late}"
        + (f"   missed {stats.missed}" if stats.missed else "")
    )


@dataclass(frozen=True, slots=True)
class FromSource:
    """How `profile --source` runs each file."""

    source: str
    seconds: float
    engine: str
    threads: int | None
    contract: ContractOptions


def profile_source(speaker: Speaker, files: Sequence[Path], wanted: FromSource) -> None:
    """Photon to label of each file, one after the other."""
    from edgecnn.pipeline.contracts import contract_of
    from edgecnn.runtime import load

    profiles = []
    for file in files:
        contract = contract_of(file, wanted.contract)
        with load(
            file, engine=wanted.engine, threads=wanted.threads, contract=contract, wait=True
        ) as model:
            profiles.append(photon_to_label(speaker, model, wanted))
    speaker.result({"format": 1, "photon_to_label": profiles})


def photon_to_label(speaker: Speaker, model: Model, wanted: FromSource) -> dict[str, Any]:
    """Run a file on a source for a while and print where the time goes; the JSON of it."""
    # A clip is played at its own pace, as a camera would give it.
    with Camera(wanted.source, lossless=False) as camera, model.stream(camera) as stream:
        for _ in _answers(stream, wanted.seconds):
            pass
        stats = stream.stats()
    speaker.print(f"{model.path}   {summary(stats)}")
    for name, spread in (
        ("frame to label", stats.latency_ms),
        ("  waited", stats.age_ms),
        ("  preprocess", stats.preprocess_ms),
        ("  engine", stats.engine_ms),
    ):
        if spread is not None:
            speaker.print(f"  {name:<16}{_spread(spread)}")
    return {"file": str(model.path), "source": camera.name, **dataclasses.asdict(stats)}


def bar(share: float) -> str:
    """A bar of up to 20 characters."""
    whole, rest = divmod(round(share * _BAR_WIDTH * 8), 8)
    return ("█" * whole + _EIGHTHS[rest]).rstrip()


def _spread(spread: Spread) -> str:
    return f"p50 {spread.p50:7.2f} ms   p99 {spread.p99:7.2f}   most {spread.most:7.2f}"


def _answers(stream: Stream, seconds: float | None) -> Iterator[Answer]:
    """Answers until the source ends or the time is over, be the camera gone or not."""
    if seconds is None:
        yield from stream
        return
    ends_s = time.monotonic() + seconds
    while (left_s := ends_s - time.monotonic()) > 0:
        answer = stream.read(left_s)
        if answer is None:
            return
        yield answer


def _recorder(target: Path | None) -> contextlib.AbstractContextManager[Recorder | None]:
    if target is None:
        return contextlib.nullcontext()
    from edgecnn.pipeline.record import recording

    return recording(target)


@contextlib.contextmanager
def _window(speaker: Speaker, model: Model, live: Live) -> Iterator[Window | None]:
    """The one that was asked for; else one where a terminal looks on and it can be had."""
    from edgecnn.pipeline.window import has_display, window

    wanted = live.window
    if wanted is None:
        wanted = sys.stdout.isatty() and has_display() and not (speaker.quiet or speaker.as_json)
    with contextlib.ExitStack() as stack:
        shown = None
        try:
            shown = stack.enter_context(window(f"edgecnn {model.path.name}")) if wanted else None
        except DeviceError:
            if live.window:
                raise
        yield shown


class _View:
    """On a terminal a picture that is drawn again; in a pipe a line when the best name changes."""

    def __init__(self, speaker: Speaker, live: Live) -> None:
        self._speaker = speaker
        self._drawn = sys.stdout.isatty() and not (speaker.quiet or speaker.as_json)
        self._rows = live.top + 1
        self._next_s = 0.0
        self._best: str | None = None
        self._started_ns: int | None = None

    def show(self, answer: Answer, lines: tuple[tuple[str, float], ...], stream: Stream) -> None:
        """One answer."""
        since_ns = self._started_ns = self._started_ns or answer.frame.captured_ns
        time_s = (answer.frame.captured_ns - since_ns) / 1e9
        if self._speaker.as_json:
            self._speaker.result(_json(answer, time_s, self._rows - 1))
        elif self._drawn:
            self._draw(lines, stream)
        elif (best := lines[0][0] if lines else "nothing sure") != self._best:
            self._best = best
            score = f" {lines[0][1]:.2f}" if lines else ""
            self._speaker.print(
                f"{answer.frame.sequence:6d}  {time_s:8.2f} s  {best}{score}"
                f"   {answer.result.age_ms:.1f} ms"
            )

    def close(self) -> None:
        """Leave the picture where it is."""
        if self._drawn and self._next_s:
            click.echo("\n" * self._rows, nl=False)

    def _draw(self, lines: tuple[tuple[str, float], ...], stream: Stream) -> None:
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + _SHOWN_EACH_S
        width = max((len(name) for name, _ in lines), default=0)
        rows = [summary(stream.stats())]
        rows += [f"  {name:<{width}}  {share:.2f} {bar(share)}" for name, share in lines]
        rows += [""] * (self._rows - len(rows))
        text = "\n".join(f"{printable(row)}\x1b[K" for row in rows)
        click.echo(f"\r{text}\x1b[{self._rows - 1}A", nl=False)


def _json(answer: Answer, time_s: float, top: int) -> dict[str, Any]:
    """One answer as a line for scripts."""
    frame, result = answer.frame, answer.result
    return {
        "sequence": frame.sequence,
        "time_s": round(time_s, 6),
        "age_ms": result.age_ms,
        "dropped": frame.dropped,
        **answer_json(result, top),
    }
