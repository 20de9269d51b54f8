"""Accuracy on a device: the same classes as here, and no number from answers that cannot be."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgecnn.datasets.labelled import LabelledImages, open_labelled
from edgecnn.devices import LocalDevice
from edgecnn.devices.process import Process
from edgecnn.errors import DataError, DeviceError, ModelError
from edgecnn.onnxfile import model_sha256, read_contract
from edgecnn.profiling import elsewhere
from edgecnn.profiling.accuracy import evaluate_file
from edgecnn.profiling.elsewhere import Subject, evaluate_elsewhere, shards
from tests.devices.test_device_worker import ScriptedDevice
from tests.profiling.toys import write_color_net, write_pictures

LABELS = [index % 8 for index in range(21)]


@pytest.fixture
def pictures(tmp_path: Path) -> LabelledImages:
    write_pictures(tmp_path / "pictures", LABELS)
    return open_labelled(tmp_path / "pictures", class_count=8)


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    net = write_color_net(tmp_path / "colors.onnx", batch="n")
    return Subject(net, read_contract(net))


def test_a_device_gives_what_this_machine_gives(subject: Subject, pictures: LabelledImages) -> None:
    heard: list[tuple[int, int]] = []
    there = evaluate_elsewhere(
        LocalDevice(), subject, pictures, progress=lambda done, total: heard.append((done, total))
    )
    here = evaluate_file(subject.path, pictures)
    np.testing.assert_array_equal(there.top, here.top)
    np.testing.assert_array_equal(there.score, here.score)
    assert (there.engine, there.precision, there.classes) == (here.engine, here.precision, 8)
    assert heard[-1] == (21, 21)


def test_shards_are_cut_where_runs_are(
    pictures: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elsewhere, "SHARD_BYTES", 1)
    found = list(shards(pictures.items, tmp_path, together=8))
    assert [len(shard.items) for shard in found] == [8, 8, 5]
    assert [item for shard in found for item in shard.items] == list(pictures.items)


def test_random_weights_are_not_judged(subject: Subject, pictures: LabelledImages) -> None:
    contract = dataclasses.replace(subject.contract, provenance={"weights": {"source": "random"}})
    with pytest.raises(DataError, match="random"):
        evaluate_elsewhere(LocalDevice(), dataclasses.replace(subject, contract=contract), pictures)


def test_values_that_are_no_numbers_are_told_by_the_device(
    subject: Subject, pictures: LabelledImages
) -> None:
    model = onnx.load(subject.path)
    for weight in model.graph.initializer:
        endless = np.full_like(numpy_helper.to_array(weight), np.inf)
        weight.CopyFrom(numpy_helper.from_array(endless, weight.name))
    onnx.save(model, subject.path)
    with pytest.raises(ModelError, match="no numbers"):
        evaluate_elsewhere(LocalDevice(), subject, pictures)


class Liar(ScriptedDevice):
    """Says that it has loaded the file, then one answer."""

    def __init__(self, subject: Subject, answer: object, *, sha256: str | None = None) -> None:
        ready: dict[str, object] = {
            "sha256": sha256 or model_sha256(subject.path), "engine": "toy", "facts": {},
            "precision": "fp32", "emulated": None,
        }  # fmt: skip
        super().__init__({"ready": ready}, answer)

    def start(self, verb: Sequence[str]) -> Process:
        assert verb[0] == "classes"
        return super().start(verb)


RIGHT = {"classes": 8, "top": [[0, 1, 2, 3, 4]] * 21, "score": [0.5] * 21}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (RIGHT | {"top": [[0, 1, 2, 3, 8]] * 21}, "nobody can read"),
        (RIGHT | {"top": [[0, 1]] * 21}, "nobody can read"),
        (RIGHT | {"score": [7.0] * 21}, "nobody can read"),
        (RIGHT | {"score": [0.5] * 20, "top": RIGHT["top"][:20]}, "other frames"),  # type: ignore[index]
        (json.loads('{"classes": 8, "top": 3, "score": NaN}'), "nobody can read"),
    ],
)
def test_answers_that_cannot_be_are_no_accuracy(
    answer: object, words: str, subject: Subject, pictures: LabelledImages
) -> None:
    with pytest.raises(DeviceError, match=words):
        evaluate_elsewhere(Liar(subject, answer), subject, pictures)


def test_another_file_is_no_accuracy(subject: Subject, pictures: LabelledImages) -> None:
    with pytest.raises(DeviceError, match="another file"):
        evaluate_elsewhere(Liar(subject, RIGHT, sha256="ab"), subject, pictures)
