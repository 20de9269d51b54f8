"""Accuracy of real files on real images: right answers, honest intervals, no number for nothing."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgecnn.datasets.labelled import LabelledImage, LabelledImages, open_labelled
from edgecnn.errors import DataError, ModelError
from edgecnn.profiling.accuracy import (
    Predictions,
    compare_predictions,
    evaluate_file,
    evaluation,
)
from tests.profiling.toys import write_color_net, write_pictures

LABELS = [0, 1, 2, 3, 4, 5, 6, 7, 7, 7]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def pictures(tmp_path: Path) -> LabelledImages:
    """Ten pictures; two of those labelled 7 show class 0."""
    shown = [0, 1, 2, 3, 4, 5, 6, 7, 0, 0]
    write_pictures(tmp_path / "pictures", LABELS, shown=shown)
    return open_labelled(tmp_path / "pictures", class_count=8)


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return write_color_net(tmp_path / "colors.onnx", provenance={"precision": "int8"})


def test_every_picture_is_answered_in_order(net: Path, pictures: LabelledImages) -> None:
    answered = evaluate_file(net, pictures)
    assert answered.labels.tolist() == LABELS
    assert answered.top[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 0, 0]
    assert answered.top.shape == (10, 5)
    assert np.all((answered.score > 1 / 8) & (answered.score <= 1))
    assert (answered.engine, answered.precision) == ("onnxruntime", "int8")


def test_top1_and_top5_come_with_wilson_s_interval(net: Path, pictures: LabelledImages) -> None:
    told = evaluation(evaluate_file(net, pictures))
    assert told.n == 10
    assert told.top1.value == 0.8
    # Wilson's interval of 8 out of 10.
    assert (told.top1.low, told.top1.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert told.top5 is not None
    assert told.top5.value == 0.8, "black and white are the furthest colours"


def test_five_classes_or_fewer_have_no_top5(tmp_path: Path) -> None:
    net = write_color_net(tmp_path / "few.onnx", classes=4)
    write_pictures(tmp_path / "few", [0, 1, 2, 3])
    few = open_labelled(tmp_path / "few", class_count=4)
    assert evaluation(evaluate_file(net, few)).top5 is None


def test_a_fixed_batch_is_filled_up_and_changes_nothing(
    tmp_path: Path, net: Path, pictures: LabelledImages
) -> None:
    one = evaluate_file(net, pictures)
    for batch in (4, "N"):
        other = evaluate_file(write_color_net(tmp_path / f"b{batch}.onnx", batch=batch), pictures)
        assert np.array_equal(one.top, other.top)
        assert np.allclose(one.score, other.score)


def test_progress_counts_pictures(net: Path, pictures: LabelledImages) -> None:
    heard: list[tuple[int, int]] = []
    evaluate_file(net, pictures, progress=lambda done, total: heard.append((done, total)))
    assert heard == [(done, 10) for done in range(1, 11)]


def test_a_label_that_the_model_does_not_have_is_named(
    tmp_path: Path, pictures: LabelledImages
) -> None:
    small = write_color_net(tmp_path / "small.onnx", classes=4)
    with pytest.raises(DataError, match="class 4, but the model has 0 to 3"):
        evaluate_file(small, pictures)


def test_random_weights_have_no_accuracy(tmp_path: Path, pictures: LabelledImages) -> None:
    said = {"weights": {"source": "random"}}
    net = write_color_net(tmp_path / "random.onnx", provenance=said)
    with pytest.raises(DataError, match="random"):
        evaluate_file(net, pictures)


def test_a_picture_that_cannot_be_read_is_named(net: Path, pictures: LabelledImages) -> None:
    pictures.items[3].path.write_bytes(b"")
    with pytest.raises(DataError, match=pictures.items[3].path.name):
        evaluate_file(net, pictures)


def test_outputs_that_are_no_numbers_are_no_answers(net: Path, pictures: LabelledImages) -> None:
    model = onnx.load(net)
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype == np.float32:
            weight.CopyFrom(numpy_helper.from_array(np.full_like(values, np.inf), weight.name))
    onnx.save(model, net)
    with pytest.raises(ModelError, match="no numbers"):
        evaluate_file(net, pictures)


def test_memory_does_not_grow_with_the_set(net: Path, pictures: LabelledImages) -> None:
    # Far more pictures than are held ready; the same ten files again and again.
    many = dataclasses.replace(pictures, items=pictures.items * 30)
    assert evaluation(evaluate_file(net, many)).top1.value == 0.8


# Two files on the same pictures


def answers(right: list[bool], *, file: str = "a.onnx") -> Predictions:
    """Predictions that are right where asked; wrong ones all say class 9."""
    labels = np.arange(len(right), dtype=np.int64) % 5
    best = np.where(right, labels, 9)
    top = np.stack([best, *[(best + k) % 10 for k in range(1, 5)]], axis=1)
    return Predictions(file, "onnxruntime", "fp32", 10, labels, top, np.ones(len(right)))


def test_flips_are_counted_both_ways() -> None:
    before = answers([True] * 6 + [False] * 4, file="fp32.onnx")
    after = answers([True] * 3 + [False] * 6 + [True])
    found = compare_predictions(before, after)
    assert (found.right_to_wrong, found.wrong_to_right, found.n) == (3, 1, 10)
    assert found.against == "fp32.onnx"
    assert found.agreement == 0.6
    assert found.drop.value == pytest.approx(0.2)
    assert found.drop.low < 0 < found.drop.high
    assert found.mcnemar_p == pytest.approx(0.625)


def test_a_file_agrees_with_itself() -> None:
    same = answers([True, False, True])
    found = evaluation(same, reference=same).paired
    assert found is not None
    assert (found.agreement, found.mcnemar_p, found.drop.value) == (1.0, 1.0, 0.0)


def test_different_pictures_are_not_compared() -> None:
    with pytest.raises(DataError, match="different images"):
        compare_predictions(answers([True, True]), answers([True]))


# Real weights and photographs, where they are at hand


@pytest.fixture
def real() -> Path:
    default = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("EDGECNN_TEST_DATA", default))
    if not (folder / "imagenet").is_dir():
        pytest.skip(f"no test data in {folder} (EDGECNN_TEST_DATA names the folder)")
    return folder


def test_mobilenet_on_photographs_is_as_accurate_as_it_is_known_to_be(real: Path) -> None:
    from edgecnn.contract import Contract, Preprocess
    from edgecnn.onnxfile import read_header

    file = real / "weights" / "imagenet" / "mobilenet_v1_0.25_224.onnx"
    header = read_header(file)
    recipe = Preprocess(size=(224, 224), resize=256, scale=1.0, mean=(127.5,) * 3, std=(127.5,) * 3)
    contract = Contract(header.inputs, header.outputs, recipe)
    photographs = open_labelled(real / "imagenet" / "val", class_count=1000)
    some = dataclasses.replace(photographs, items=photographs.items[::5])
    assert all(isinstance(item, LabelledImage) for item in some.items)
    told = evaluation(evaluate_file(file, some, contract=contract))
    # 65.9 % is known on the whole set; three standard errors of 130 pictures around it.
    assert told.top1.value == pytest.approx(0.659, abs=0.125)
