"""A calibration that was killed goes on where it stopped, and ends as if nothing had happened."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from edgecnn.errors import GraphError
from edgecnn.graph.checkpoint import Checkpoint
from edgecnn.graph.normal import read_model
from edgecnn.graph.observe import Histogram, observe
from tests import toy

# Large enough that only every second value is counted: where the next sample starts is state too.
SIDE, IMAGES = 150, 33

ENDLESS = """
import sys
from pathlib import Path
from tests.graph.test_checkpoint import watch, images_from
from edgecnn.graph.checkpoint import Checkpoint

def slowly(start):
    for done, image in enumerate(images_from(start), start=start):
        if done == 12:
            print("here", flush=True)
            sys.stdin.read()  # until it is killed
        yield image

watch(Checkpoint(Path(sys.argv[1]), slowly, lambda done: None, every_s=0), slowly(0))
"""


def network() -> ModelProto:
    net = toy.Net(side=SIDE)
    return net.model(net.head(net.relu(net.conv("image", 4))))


def images_from(start: int) -> Iterator[toy.Float]:
    for index in range(start, IMAGES):
        yield from toy.images(1, side=SIDE, seed=index)()


def watch(
    checkpoint: Checkpoint | None = None, images: Iterator[toy.Float] | None = None
) -> dict[str, Histogram]:
    model = read_model(network())
    watched = ["image", *(node.output[0] for node in model.graph.node[:2])]
    return observe(model, watched, images or images_from(0), threads=1, checkpoint=checkpoint)


def same(one: dict[str, Histogram], other: dict[str, Histogram]) -> bool:
    return list(one) == list(other) and all(
        np.array_equal(one[name].counts, other[name].counts)
        and one[name].numbers == other[name].numbers
        for name in one
    )


class Kept:
    """A checkpoint in a folder that notes which images it gives and what it hears."""

    def __init__(self, folder: Path, *, every_s: float = 0) -> None:
        self.path = folder / "deep" / "calibration.state"
        self.heard: list[int | None] = []
        self.started: list[int] = []
        self.checkpoint = Checkpoint(self.path, self._images, self.heard.append, every_s)

    def _images(self, start: int) -> Iterator[toy.Float]:
        self.started.append(start)
        return images_from(start)


def killed(kept: Kept) -> None:
    """Leave the state of a process that was killed after twelve images."""
    command = [sys.executable, "-c", ENDLESS, str(kept.path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        process.kill()


def test_a_killed_calibration_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    killed(kept)
    ticks: list[None] = []
    model = read_model(network())
    watched = ["image", *(node.output[0] for node in model.graph.node[:2])]
    resumed = observe(
        model,
        watched,
        iter(()),
        threads=1,
        checkpoint=kept.checkpoint,
        progress=lambda: ticks.append(None),
    )
    assert (kept.heard, kept.started, len(ticks)) == ([12], [12], IMAGES)
    assert same(resumed, watch())
    assert [path.name for path in kept.path.parent.iterdir()] == ["calibration.state"]
    kept.checkpoint.forget()
    assert not kept.path.exists()


def test_a_finished_pass_is_remembered_whole(tmp_path: Path) -> None:
    first, second = Kept(tmp_path), Kept(tmp_path)
    whole = watch(first.checkpoint)
    assert same(watch(second.checkpoint, iter(())), whole)
    assert second.started == [IMAGES]


def test_a_short_calibration_writes_nothing(tmp_path: Path) -> None:
    kept = Kept(tmp_path, every_s=3600)
    watch(kept.checkpoint)
    assert not kept.path.parent.exists()
    kept.checkpoint.forget()


@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "text", "other arrays"])
def test_a_damaged_state_is_told_and_not_believed(tmp_path: Path, harm: str) -> None:
    kept = Kept(tmp_path)
    watch(Kept(tmp_path).checkpoint)
    whole = kept.path.read_bytes()
    if harm == "other arrays":
        with kept.path.open("wb") as stream:
            np.savez(stream, done=np.array(3))
    else:
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
        harmed = {"cut": whole[:middle], "flip": flipped, "empty": b"", "text": b"not a state"}
        kept.path.write_bytes(harmed[harm])
    assert same(watch(kept.checkpoint), watch())
    assert (kept.heard, kept.started) == ([None], [])


def test_the_state_of_other_tensors_is_left_alone(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    watch(kept.checkpoint)
    done, seen = kept.checkpoint.recall(["image"])
    assert (done, list(seen)) == (0, ["image"])
    assert kept.heard == []


def test_where_nothing_can_be_written_it_works_all_the_same(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.path.parent.touch()  # a file where its folder should be
    assert same(watch(kept.checkpoint), watch())


def test_a_bad_image_is_refused_after_a_restart_too(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    watch(Kept(tmp_path).checkpoint, itertools.islice(images_from(0), 9))
    kept.checkpoint.images_from = lambda start: (image * np.nan for image in images_from(start))
    with pytest.raises(GraphError, match="NaN"):
        watch(kept.checkpoint)


def test_states_are_not_written_more_often_than_said(tmp_path: Path) -> None:
    kept = Kept(tmp_path, every_s=0.2)
    seen = kept.checkpoint.recall(["image"])[1]
    kept.checkpoint.pass_by(1, seen)
    assert not kept.path.exists()
    time.sleep(0.25)
    kept.checkpoint.pass_by(2, seen)
    stamp = kept.path.stat().st_mtime_ns
    kept.checkpoint.pass_by(3, seen)
    assert kept.path.stat().st_mtime_ns == stamp
