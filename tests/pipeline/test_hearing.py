"""What a person hears of a measurement: the file that it is at, and how far it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgecnn.errors import DeviceError
from edgecnn.pipeline.hearing import Hearing
from edgecnn.pipeline.narrator import Progress, Silent
from edgecnn.profiling.options import Options, Step


class Bar(Silent):
    """Keeps what its progress bar showed, and what it was warned of."""

    def __init__(self) -> None:
        self.shown: list[tuple[int, int, str]] = []
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    @contextmanager
    def progress(self, label: str, *, unit: str = "") -> Iterator[Progress]:
        def show(done: int, total: int, what: str = "") -> None:
            self.shown.append((done, total, what))

        yield show


def test_the_bar_names_the_file_that_is_worked_on() -> None:
    bar = Bar()
    hearing = Hearing(bar, [Path("a.onnx")], Options(), keep_interrupted=True)
    with hearing.listener() as listener:
        assert listener.step
        listener.step(Step("load", "out/a.onnx", 0, 2))
        listener.step(Step("measure", "out/b.onnx", 5, 24))
        listener.step(Step("layers", f"out/{'long' * 20}.int8.onnx", 1, 2))
    assert bar.shown[0] == (0, 2, "load         a.onnx")
    assert bar.shown[1] == (5, 24, "measure      b.onnx")
    assert len(bar.shown[2][2]) < 50, "a long name leaves room for the bar"
    assert bar.shown[2][2].endswith("int8.onnx"), "its end tells files apart"


@pytest.mark.parametrize("end", [KeyboardInterrupt, DeviceError("the cable", hint="plug it in")])
def test_what_is_kept_is_told_when_work_ends_early(
    end: BaseException | type[BaseException],
) -> None:
    bar = Bar()
    hearing = Hearing(bar, [Path("a.onnx")], Options(), keep_interrupted=False)

    def interrupted() -> None:
        with hearing.listener() as listener:
            assert listener.interrupted is None
            assert listener.progress
            listener.progress(3, 12)
            raise end

    with pytest.raises((KeyboardInterrupt, DeviceError)):
        interrupted()
    assert bar.warnings == ["interrupted: 3 blocks are kept; the same command goes on"]
