"""A stream answers the newest frames, as the model does alone, and says what it measured."""

from __future__ import annotations

import itertools
import os
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.errors import DataError, DeviceError, UsageError
from edgecnn.runtime import Camera, Classification, Model, load
from edgecnn.runtime.engines.base import Feeds
from edgecnn.runtime.engines.ort import OrtEngine
from edgecnn.runtime.metrics import prometheus
from edgecnn.runtime.preprocess import Image
from tests.profiling.toys import color_picture, write_color_net

DATA = Path(os.environ.get("EDGECNN_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGECNN_CACHE", str(tmp_path_factory.mktemp("cache")))
        path = write_color_net(tmp_path_factory.mktemp("stream") / "net.onnx", work=5)
        with load(path, threads=1) as loaded:
            yield loaded


def scores(model: Model, image: Image) -> list[float]:
    result = model(image)
    assert isinstance(result, Classification)
    found: list[float] = result.scores.tolist()
    return found


def ticking(period_s: float, count: int = 1_000_000) -> Iterator[Image]:
    for index in range(count):
        yield color_picture(index)
        time.sleep(period_s)


def test_every_frame_of_a_lossless_source_gets_the_models_own_answer(model: Model) -> None:
    pictures = [color_picture(index) for index in range(40)]
    with Camera(pictures) as camera, model.stream(camera) as stream:
        answers = list(stream)
    assert [answer.frame.sequence for answer in answers] == list(range(40))
    for picture, answer in zip(pictures, answers, strict=True):
        assert isinstance(answer.result, Classification)
        assert answer.result.scores.tolist() == scores(model, picture)
    stats = stream.stats()
    assert (stats.answered, stats.captured, stats.dropped) == (40, 40, 0)


@pytest.mark.parametrize("frames", [12, pytest.param(None, marks=pytest.mark.slow)])
def test_a_recorded_clip_is_answered_as_its_frames_offline(
    model: Model, frames: int | None
) -> None:
    clip = DATA / "video" / "bigbuckbunny.mp4"
    if not clip.exists():
        pytest.skip(f"needs {clip}")
    av = pytest.importorskip("av")
    with av.open(str(clip)) as container:
        decoded = itertools.islice(container.decode(video=0), frames)
        offline = [scores(model, frame.to_ndarray(format="rgb24")) for frame in decoded]
    for _ in range(2):
        with Camera(clip) as camera, model.stream(camera) as stream:
            live = [
                answer.result.scores.tolist()
                for answer in itertools.islice(stream, frames)
                if isinstance(answer.result, Classification)
            ]
        assert live == offline


@pytest.mark.parametrize("warm", [True, False])
def test_the_engine_is_warm_before_the_first_frame(
    model: Model, monkeypatch: pytest.MonkeyPatch, warm: bool
) -> None:
    fed: list[float] = []
    run = OrtEngine.run

    def noted(engine: OrtEngine, feeds: Feeds) -> dict[str, Any]:
        fed.append(round(float(next(iter(feeds.values())).max()), 1))
        return run(engine, feeds)

    monkeypatch.setattr(OrtEngine, "run", noted)
    gray, white = 0.5, np.full((24, 24, 3), 255, np.uint8)
    with load(model.path, threads=1, warm_up=warm) as again:
        assert fed == ([gray] if warm else [])
        with Camera([white] * 2) as camera, again.stream(camera) as stream:
            assert fed == [gray], "once is enough"
            assert len(list(stream)) == 2
    assert fed == [gray, 1, 1]


def test_a_slow_model_drops_frames_and_stays_close_to_the_camera(model: Model) -> None:
    with Camera(lambda: ticking(0.005, 200)) as camera, model.stream(camera) as stream:
        for _ in stream:
            time.sleep(0.03)
    stats = stream.stats()
    assert stats.captured == 200
    assert stats.answered + stats.dropped == 200
    assert stats.dropped > 100
    assert stats.age_ms is not None
    assert stats.age_ms.p50 < 30
    assert 10 < stats.fps < 34


def test_deadlines_that_are_missed_are_counted(model: Model) -> None:
    pictures = [color_picture(index) for index in range(6)]
    with Camera(pictures) as camera, model.stream(camera, deadline_ms=0.001) as stream:
        assert len(list(stream)) == 6
        assert stream.stats().missed == 6
    with Camera(pictures) as camera, model.stream(camera, deadline_ms=1e6) as stream:
        assert len(list(stream)) == 6
        assert stream.stats().missed == 0


def test_smoothing_is_a_mean_over_frames(model: Model) -> None:
    pictures = [color_picture(0), color_picture(7), color_picture(7)]
    alone = np.array([scores(model, picture) for picture in pictures])
    expected = alone[0]
    with Camera(pictures) as camera, model.stream(camera, smoothing=0.75) as stream:
        for index, answer in enumerate(stream):
            assert isinstance(answer.result, Classification)
            if index:
                expected = 0.75 * expected + 0.25 * alone[index]
            np.testing.assert_allclose(answer.result.scores, expected)


def test_classes_below_the_threshold_are_not_named(model: Model) -> None:
    with Camera([color_picture(0)]) as camera, model.stream(camera, threshold=1.0) as stream:
        (answer,) = stream
    assert isinstance(answer.result, Classification)
    assert answer.result.top(5) == ()
    assert answer.result.best is None


def test_what_goes_wrong_in_the_other_thread_is_raised_here(model: Model) -> None:
    bad: list[Any] = [color_picture(0), np.zeros((4, 4), np.float32)]
    with Camera(bad) as camera, model.stream(camera) as stream:
        assert stream.read() is not None
        with pytest.raises(DataError, match="is no image"):
            stream.read()


def test_nothing_is_left_behind(model: Model) -> None:
    with Camera([color_picture(0)]) as camera, model.stream(camera, metrics_port=0) as stream:
        list(stream)
    threads, files = threading.active_count(), len([*Path("/proc/self/fd").iterdir()])
    for _ in range(5):
        with Camera(lambda: ticking(0.001)) as camera:
            with model.stream(camera, metrics_port=0) as stream:
                assert stream.read() is not None
            assert camera.read() is not None, "the camera stays open"
    assert threading.active_count() == threads
    assert len([*Path("/proc/self/fd").iterdir()]) == files


@pytest.mark.parametrize(
    "options", [{"smoothing": 1.0}, {"smoothing": -0.1}, {"threshold": 1.1}, {"deadline_ms": 0}]
)
def test_options_out_of_range_are_refused(model: Model, options: dict[str, float]) -> None:
    with Camera([color_picture(0)]) as camera, pytest.raises(UsageError) as caught:
        model.stream(camera, **options)  # type: ignore[arg-type]
    assert caught.value.hint


def test_prometheus_reads_it_on_the_loopback_only(model: Model) -> None:
    with Camera([color_picture(0)] * 5) as camera, model.stream(camera, metrics_port=0) as stream:
        list(stream)
        address = f"http://127.0.0.1:{stream.metrics_port}"
        with urllib.request.urlopen(f"{address}/metrics") as reply:
            text = reply.read().decode()
        assert text == prometheus(stream.stats())
        with pytest.raises(DeviceError, match=r"127\.0\.0\.1"):
            model.stream(camera, metrics_port=stream.metrics_port)
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert lines["edgecnn_answered_total"] == "5"
    assert float(lines['edgecnn_latency_ms{quantile="0.5"}']) > 0
