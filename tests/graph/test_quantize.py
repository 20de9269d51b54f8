"""The whole way from a float model to a checked INT8 model."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto

from edgecnn.errors import DataError, UsageError
from edgecnn.graph.bench import Bench
from edgecnn.graph.check import Judge
from edgecnn.graph.fold import fold
from edgecnn.graph.normal import read_model
from edgecnn.graph.plan import make_plan
from edgecnn.graph.quantize import EFFORTS, Quantized, quantize_model
from edgecnn.graph.ranges import Ranges
from edgecnn.graph.split import Meter, Split
from edgecnn.graph.targets import find_target
from edgecnn.graph.thresholds import METHODS
from edgecnn.graph.watched import watched_by_all
from tests import toy
from tests.graph.running import answers, sqnr_db

IMAGES = toy.images(30)
FRESH = toy.images(64, seed=99)


@pytest.mark.parametrize("effort", sorted(EFFORTS))
@pytest.mark.parametrize("name", sorted(toy.NETS))
def test_int8_answers_like_float_on_new_images(name: str, effort: str) -> None:
    model = toy.NETS[name]()
    quantized = quantize_model(model, IMAGES, effort=effort)
    reference, int8 = answers(model, FRESH), answers(quantized.model, FRESH)
    assert sqnr_db(reference, int8) > 28
    assert np.mean(reference.argmax(1) == int8.argmax(1)) >= 0.95
    assert quantized.check.sqnr_db > 35
    assert quantized.check.n == 6


def test_the_same_inputs_give_the_same_bytes() -> None:
    one, other = (
        quantize_model(toy.depthwise(), IMAGES).model.SerializeToString() for _ in range(2)
    )
    assert one == other


def test_steps_say_what_they_gained_and_only_helpful_ones_are_kept() -> None:
    quantized = quantize_model(toy.plain(), IMAGES)
    assert [step.name for step in quantized.steps] == ["bias", "equalize", "rounding"]
    assert all(step.kept == (step.gained_db > 0) for step in quantized.steps)
    gained = sum(step.gained_db for step in quantized.steps if step.kept)
    fast = quantize_model(toy.plain(), IMAGES, ranges=quantized.ranges, effort="fast")
    start = fast.check.sqnr_db - sum(step.gained_db for step in fast.steps if step.kept)
    assert quantized.check.sqnr_db == pytest.approx(start + gained, abs=1e-3)


def test_fast_does_not_try_rounding() -> None:
    quantized = quantize_model(toy.plain(), IMAGES, effort="fast")
    assert [step.name for step in quantized.steps] == ["bias"]


def test_max_is_at_least_as_good_as_default_where_it_is_judged() -> None:
    default, best = (quantize_model(toy.depthwise(), IMAGES, effort=e) for e in ("default", "max"))
    assert best.check.sqnr_db >= default.check.sqnr_db


def test_max_mends_the_ranges_of_every_method() -> None:
    """And takes the best in the end, which need not be the one that was best at first."""
    seen: dict[str, list[int]] = {}
    for effort in ("default", "max"):
        done = seen.setdefault(effort, [])
        quantize_model(
            toy.depthwise(),
            IMAGES,
            count=24,
            effort=effort,
            progress=lambda step, _, done=done: done.append(step),  # type: ignore[misc]
        )
    learning = 24  # images are gone through once to learn the ranges of all methods
    assert len(seen["max"]) - learning > 3.5 * (len(seen["default"]) - learning)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_can_be_asked_for(method: str) -> None:
    assert quantize_model(toy.plain(), IMAGES, method=method).ranges.method == method


def learnt(model: ModelProto) -> tuple[Bench, Ranges]:
    """A bench, and what it learns by all methods."""
    folded, images = fold(read_model(model)), Split(IMAGES, None)
    bench = Bench(
        folded=folded,
        plan=make_plan(folded, find_target("onnxruntime-x86")),
        watched=watched_by_all(folded),
        target=find_target("onnxruntime-x86"),
        images=images,
        judge=Judge(model, images.kept_aside()),
        meter=Meter(None, 0),
        threads=0,
    )
    return bench, bench.learnt("auto", "")


def spoilt(ranges: Ranges, share: dict[str, float]) -> Ranges:
    """As if each method kept this share of the range that it should."""
    by_tensor = {
        tensor: {
            name: (low * share.get(name, 1.0), high * share.get(name, 1.0))
            for name, (low, high) in found.items()
        }
        for tensor, found in ranges.by_tensor.items()
    }
    return replace(ranges, by_tensor=by_tensor)


@pytest.mark.parametrize("good", sorted(METHODS))
def test_auto_takes_the_method_that_is_best_on_the_images_kept_aside(good: str) -> None:
    bench, ranges = learnt(toy.concat())
    bad = spoilt(ranges, {name: 0.3 for name in METHODS if name != good})
    first, *others = bench.starts(bad, "auto")
    assert first.ranges.method == good
    assert len(others) == len(METHODS) - 1
    assert first.check.sqnr_db > max(other.check.sqnr_db for other in others) + 1


def test_auto_prefers_least_squares_where_it_makes_no_difference() -> None:
    bench, ranges = learnt(toy.concat())
    alike = {
        tensor: dict.fromkeys(found, found["minmax"]) for tensor, found in ranges.by_tensor.items()
    }
    assert bench.starts(replace(ranges, by_tensor=alike), "auto")[0].ranges.method == "mse"


def test_ranges_can_be_saved_and_used_again() -> None:
    first = quantize_model(toy.residual(), IMAGES, calibration_sha256="c" * 64)
    ranges = Ranges.from_json(first.ranges.to_json())
    assert ranges.calibration_sha256 == "c" * 64
    again = quantize_model(toy.residual(), IMAGES, ranges=ranges)
    assert again.model.SerializeToString() == first.model.SerializeToString()


def test_ranges_of_another_model_are_refused() -> None:
    ranges = quantize_model(toy.residual(), IMAGES, effort="fast").ranges
    with pytest.raises(DataError, match="another model"):
        quantize_model(toy.plain(), IMAGES, ranges=ranges)


def test_images_to_judge_by_can_be_given() -> None:
    quantized = quantize_model(toy.plain(), IMAGES, held_out=toy.images(10, seed=5))
    assert quantized.check.n == 10


def test_layers_are_kept_in_float_and_reported() -> None:
    quantized = quantize_model(toy.plain(), IMAGES, keep_float=("conv_3",))
    assert quantized.float_layers == ("conv_3",)
    everything = quantize_model(toy.plain(), IMAGES)
    assert everything.float_layers == ()


def test_progress_runs_to_its_end() -> None:
    seen: list[tuple[int, int]] = []
    quantize_model(
        toy.plain(), IMAGES, count=24, progress=lambda done, total: seen.append((done, total))
    )
    done, totals = zip(*seen, strict=True)
    assert set(totals) == {3 * 24 + 3 * 4}  # three passes over the images, three over the layers
    assert list(done) == sorted(done)
    assert done[-1] == totals[0]


def test_a_file_is_quantized_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(toy.plain(), path)
    before = path.read_bytes()
    quantized = quantize_model(path, IMAGES, effort="fast")
    assert path.read_bytes() == before
    assert isinstance(quantized, Quantized)


@pytest.mark.parametrize("batch", [1, 4, "N"])
def test_any_batch_is_quantized(batch: int | str) -> None:
    net = toy.Net()
    net.shape = (batch, 3, 16, 16)
    model = net.model(net.head(net.relu(net.conv("image", 8))))
    many = 4 if batch == 4 else 1
    quantized = quantize_model(
        model, toy.images(20, batch=many), held_out=toy.images(8, batch=many)
    )
    assert quantized.check.n == 8 * many
    assert quantized.check.sqnr_db > 35


@pytest.mark.parametrize(
    ("options", "word"),
    [({"target": "tensorflow"}, "target"), ({"method": "best"}, "method"),
     ({"effort": "utmost"}, "effort"), ({"keep_float": ("conv_9",)}, "conv_9")],
)  # fmt: skip
def test_unknown_words_are_refused(options: dict[str, str], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        quantize_model(toy.plain(), IMAGES, **options)  # type: ignore[arg-type]


def test_no_images_are_refused() -> None:
    with pytest.raises(DataError, match="judge"):
        quantize_model(toy.plain(), toy.images(0))
    with pytest.raises(DataError, match="calibration"):
        quantize_model(toy.plain(), toy.images(0), held_out=IMAGES)


def test_memory_has_a_bound_whatever_the_number_of_images() -> None:
    def peak_bytes(count: int) -> int:
        tracemalloc.start()
        quantize_model(toy.plain(), toy.images(count), effort="fast")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(330)
    # From here on, no pass keeps anything for another image.
    assert peak_bytes(660) < peak_bytes(330) + 300_000
