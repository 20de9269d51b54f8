"""Inner layers tell when a camera sees what the ranges of a file were not made for."""

from __future__ import annotations

import dataclasses
import socket
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.contract import Contract, Preprocess, TensorSpec
from edgecnn.errors import DeviceError, ModelError
from edgecnn.graph.inner import inner_activations
from edgecnn.graph.quantize import quantize_model
from edgecnn.onnxfile import read_contract, read_header, write_contract
from edgecnn.pipeline.proof import prove, uncached
from edgecnn.runtime import Camera, load
from edgecnn.runtime.preprocess import Image, preprocess
from edgecnn.runtime.ranges import (
    Inner,
    Usage,
    Usual,
    told,
    usage,
    usual_ranges,
    usual_ranges_of,
)
from edgecnn.runtime.rangewatch import Gauge
from tests import photos, toy

RELU, PLAIN = Inner("relu", floor=True), Inner("plain", floor=False)
SPEC = Preprocess(size=(16, 16), mean=(0.4, 0.4, 0.4), std=(0.25, 0.25, 0.25))
KINDS = photos.SHAPES


# How integers are used


def test_the_zeros_of_a_relu_are_not_clipped() -> None:
    values = np.array([0] * 60 + [255] * 30 + [100] * 10, np.uint8).reshape(1, 10, 10)
    assert usage(values, RELU) == Usage(clipped=0.3, used=1.0)
    assert usage(values, PLAIN) == Usage(clipped=0.9, used=1.0)


def test_signed_integers_are_counted_from_their_own_lowest() -> None:
    values = np.repeat(np.array([-128, -26, 25, 127], np.int8), 25)
    assert usage(values, PLAIN) == Usage(clipped=0.5, used=1.0)
    assert usage(values[25:75], RELU) == Usage(clipped=0.0, used=0.2)


def test_single_values_say_nothing_of_a_range() -> None:
    values = np.full(10_000, 50, np.uint8)
    values[:5], values[-5:] = 0, 255
    assert usage(values, RELU).used == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_usual_holds_for_each_image_it_was_made_of(
    pairs: list[tuple[float, float]],
) -> None:
    images = [(Usage(clipped, used),) for clipped, used in pairs]
    (remembered,) = usual_ranges([RELU], images)
    usual = Usual(RELU, remembered["clipped"], tuple(remembered["used"]))
    for each in images:
        assert told([usual], [each]) == ()


def test_each_difference_has_its_words() -> None:
    usuals = (Usual(RELU, 0.01, (0.5, 0.9)), Usual(PLAIN, 0.01, (0.5, 0.9)))
    assert told(usuals, [(Usage(0.01, 0.5), Usage(0.0, 0.9))] * 10) == ()
    (message,) = told(usuals, [(Usage(0.05, 0.6), Usage(0.0, 0.2))] * 10)
    assert "relu clips 5.0% (at most 1.0% was usual)" in message
    assert "plain uses 20% of them (50% to 90% was usual)" in message
    assert "recalibrate" in message


def test_half_of_the_looks_are_not_most() -> None:
    odd, plain = (Usage(0.9, 0.6),), (Usage(0.0, 0.6),)
    assert told((Usual(RELU, 0.01, (0.5, 0.9)),), [odd] * 5 + [plain] * 5) == ()


@pytest.mark.parametrize(
    "remembered",
    [None, {}, {"ranges": None}, {"ranges": 3}, {"ranges": [{"tensor": "x"}]}, {"ranges": ["x"]},
     {"ranges": [{"tensor": "x", "floor": 1, "clipped": "much", "used": [0, 1]}]},
     {"ranges": [{"tensor": "x", "floor": 1, "clipped": 0.1, "used": [0]}]}],
)  # fmt: skip
def test_a_contract_that_remembers_nothing_sane_is_not_watched(remembered: Any) -> None:
    spec = TensorSpec("x", "float32", (1,))
    steps = [{"step": "quantize", "usual": remembered}]
    contract = Contract((spec,), (spec,), SPEC, provenance={"steps": steps})
    assert usual_ranges_of(contract) == ()


# A file


def pictures(seeds: range) -> list[Image]:
    """What a camera sees in the light of a lamp."""
    shapes = (photos.shape(KINDS[seed % len(KINDS)], seed) for seed in seeds)
    return [(shape * np.array([1, 0.75, 0.4])).astype(np.uint8) for shape in shapes]


def dark(picture: Image) -> Image:
    return picture // 8


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An INT8 file as `quantize` writes it, and one as it was written before ranges were kept."""
    folder = tmp_path_factory.mktemp("ranges")
    source, bare = folder / "net.onnx", folder / "int8.bare"
    source.write_bytes(toy.plain().SerializeToString())
    made = quantize_model(
        source,
        lambda: (preprocess(picture, SPEC) for picture in pictures(range(24))),
        count=24,
        calibration_sha256="",
        effort="fast",
    )
    bare.write_bytes(made.model.SerializeToString())
    header = read_header(bare)
    contract = Contract(header.inputs, header.outputs, SPEC)
    write_contract(source.read_bytes(), source, contract)
    gauge = Gauge(bare, inner_activations(made.model))
    with uncached(source, contract) as reference, uncached(bare, contract) as model:
        usual = prove(reference, model, pictures(range(24)), gauge=gauge).usual
    gauge.close()
    older = {name: value for name, value in usual.items() if name != "ranges"}
    for name, remembered in (("int8", usual), ("older", older)):
        steps = [{"step": "quantize", "usual": remembered}]
        provenance = {"model": "net", "precision": "int8", "steps": steps}
        write_contract(
            bare, folder / f"{name}.onnx", dataclasses.replace(contract, provenance=provenance)
        )
    return folder / "int8.onnx", folder / "older.onnx"


def drift(path: Path, frames: list[Image], *, watch: bool = True) -> tuple[tuple[str, ...], str]:
    """What is watched, and what the stream says at the end."""
    with (
        load(path, threads=1) as model,
        Camera(frames) as camera,
        model.stream(camera, watch_ranges=watch) as stream,
    ):
        assert len(list(stream)) == len(frames)
        stats = stream.stats()
        return stats.watched, " ".join(stats.drift)


def test_the_layers_between_are_looked_at_where_they_are_integers(files: tuple[Path, Path]) -> None:
    usuals = usual_ranges_of(read_contract(files[0]))
    assert 2 <= len(usuals) <= 4
    assert usuals[0].inner.floor, "behind a ReLU"
    for usual in usuals:
        assert 0 <= usual.clipped <= 1
        assert 0 <= usual.used[0] < usual.used[1] <= 1


def test_a_tapped_file_gives_the_very_answers_of_the_file(files: tuple[Path, Path]) -> None:
    from edgecnn.runtime.engines.ort import open_graph, open_tapped

    feeds = {"image": preprocess(pictures(range(1))[0], SPEC)}
    taps = [usual.inner.name for usual in usual_ranges_of(read_contract(files[0]))]
    plain = open_graph(files[0], graph="", threads=1).run(feeds)
    tapped = open_tapped(files[0], taps).run(feeds)
    np.testing.assert_array_equal(plain["logits"], tapped["logits"])
    assert [tapped[tap].dtype for tap in taps] == [np.uint8] * len(taps)
    with pytest.raises(ModelError, match="cannot load it"):
        open_tapped(files[0], ["nothing_like_it"])


@pytest.mark.parametrize(("name", "cause"), [("relu_1", "holds float32"), ("none", "cannot load")])
def test_a_contract_that_names_no_integers_is_told(
    files: tuple[Path, Path], name: str, cause: str
) -> None:
    with pytest.raises(ModelError, match=cause):
        Gauge(files[0], [Inner(name, floor=True)])


def test_another_kind_of_picture_is_told_by_the_layers(files: tuple[Path, Path]) -> None:
    noise = list(np.random.default_rng(0).integers(0, 256, (24, 48, 48, 3), dtype=np.uint8))
    assert drift(files[0], pictures(range(24)) * 13) == (("input", "confidence", "ranges"), "")
    said = drift(files[0], noise * 12)[1]
    assert "layers use their integers otherwise" in said
    assert "recalibrate" in said
    watched, _ = drift(files[0], noise[:3], watch=False)
    assert watched == ("input", "confidence"), "if it is asked for"


def test_darkness_and_swapped_colours_are_told(files: tuple[Path, Path]) -> None:
    usual = pictures(range(24))
    for changed, words in (
        ([dark(picture) for picture in usual], "flatter or harsher"),
        ([picture[:, :, ::-1] for picture in usual], "otherwise coloured"),
    ):
        said = drift(files[0], changed * 13, watch=False)[1]
        assert words in said
        assert "recalibrate" in said


def test_a_file_of_an_earlier_version_is_watched_as_it_was(files: tuple[Path, Path]) -> None:
    threads = threading.active_count()
    assert drift(files[1], pictures(range(3))) == (("input", "confidence"), "")
    assert threading.active_count() == threads


def test_a_port_that_is_taken_leaves_nothing_behind(files: tuple[Path, Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, load(files[0], threads=1) as model:
        port = taken.getsockname()[1]
        threads = threading.active_count()
        with Camera(pictures(range(1))) as camera, pytest.raises(DeviceError):
            model.stream(camera, watch_ranges=True, metrics_port=port)
        assert threading.active_count() == threads


def test_nothing_is_left_behind(files: tuple[Path, Path]) -> None:
    with load(files[0], threads=1) as model:
        threads = threading.active_count()
        for _ in range(3):
            with (
                Camera(pictures(range(3))) as camera,
                model.stream(camera, watch_ranges=True) as stream,
            ):
                assert stream.read() is not None
        assert threading.active_count() == threads
