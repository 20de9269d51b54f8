"""The contract survives the way into a file and back, and nothing damaged passes for one."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.contract import Contract, Golden, Preprocess, TensorSpec
from edgecnn.contract_json import from_json, preprocess_from_dict, to_json
from edgecnn.detection import BoxMap, Detection, detection_from_dict
from edgecnn.errors import ContractError
from edgecnn.melspectrogram import MelSpectrogram

GOLDEN_FILE = Path(__file__).parent / "golden" / "contract-1.json"

PREPROCESS = Preprocess(
    size=(224, 224), resize=256, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)
CONTRACT = Contract(
    inputs=(TensorSpec("input", "float32", (1, 3, 224, 224)),),
    outputs=(TensorSpec("logits", "float32", ("N", 3)),),
    preprocess=PREPROCESS,
    labels=("cat", "dog", "<script>"),
    golden=Golden(image="eJwDAAAAAAE=", image_shape=(1, 1, 3), top=((2, 1.5),), tolerance=0.01),
    provenance={"model": "toy", "weights": {"source": "random"}, "precision": "fp32"},
)

DETECTION = Detection(
    decoder="ssd",
    activation="softmax",
    background=0,
    maps=(BoxMap(grid=(2, 3), cells=(2.0, 2.5), shapes=((0.1, 0.2), (1.0, 0.5))),),
)
DETECTOR = dataclasses.replace(
    CONTRACT,
    preprocess=Preprocess(size=(32, 48), pad=114),
    task="detection",
    detection=DETECTION,
)

LISTENER = dataclasses.replace(
    CONTRACT,
    preprocess=Preprocess(
        size=(32, 32),
        color="GRAY",
        mean=(0.5,),
        std=(0.5,),
        melspectrogram=MelSpectrogram(
            rate_hz=16_000, samples=16_000, window=512, hop=160, bands=64, low_hz=20, high_hz=8000
        ),
    ),
)


@pytest.mark.parametrize("contract", [CONTRACT, DETECTOR, LISTENER])
def test_a_contract_comes_back_as_it_went(contract: Contract) -> None:
    assert from_json(to_json(contract)) == contract


def test_the_format_is_the_one_that_earlier_files_hold() -> None:
    assert to_json(CONTRACT) + "\n" == GOLDEN_FILE.read_text(encoding="utf-8")


def test_a_reader_that_knows_no_sounds_refuses_them_and_nothing_else() -> None:
    known_before = {"size", "resize", "crop_fraction", "filter", "antialias", "color", "scale"}
    known_before |= {"mean", "std", "layout", "pad"}
    words = [set(json.loads(to_json(each))["preprocess"]) for each in (CONTRACT, LISTENER)]
    assert words[0] <= known_before
    assert words[1] - known_before == {"melspectrogram"}
    # As this one refuses what it does not know, on either level.
    for path in ((), ("melspectrogram",)):
        document = json.loads(to_json(LISTENER))
        table = document["preprocess"]
        for name in path:
            table = table[name]
        table["later"] = 1
        with pytest.raises(ContractError, match=r"unknown .*'later'"):
            from_json(json.dumps(document))


def test_a_later_format_is_refused_by_its_number() -> None:
    document = json.loads(to_json(CONTRACT)) | {"format": 2}
    with pytest.raises(ContractError, match=r"x\.onnx: contract of format 2, this edgecnn reads 1"):
        from_json(json.dumps(document), source="x.onnx")


@pytest.mark.parametrize(
    "whole", [CONTRACT, DETECTOR, LISTENER], ids=["classifier", "detector", "listener"]
)
@given(data=st.data())
def test_any_damage_ends_in_our_error_or_in_a_whole_contract(
    whole: Contract, data: st.DataObject
) -> None:
    text = bytearray(to_json(whole).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(text) - 1))
        text[position] = data.draw(st.integers(32, 126))
    try:
        contract = from_json(text.decode())
    except ContractError:
        pass
    else:
        assert contract.inputs
        assert contract.preprocess.size > (0, 0)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_any_json_that_is_no_contract_is_refused(document: object) -> None:
    with pytest.raises(ContractError, match="damaged contract"):
        from_json(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"size": (0, 224)}, "pixels"),
        ({"size": (224, 1 << 20)}, "pixels"),
        ({"resize": 100}, "smaller than the crop"),
        ({"crop_fraction": 1.5}, "crop_fraction 1.5"),
        ({"filter": "cubic"}, "filter 'cubic' is none of nearest"),
        ({"color": "rgb"}, "color 'rgb'"),
        ({"mean": (0.5,)}, "need 3 numbers"),
        ({"std": (1.0, 0.0, 1.0)}, "above zero"),
        ({"scale": math.nan}, "numbers up to"),
        ({"scale": 3e38}, "numbers up to"),
        ({"scale": 1e-30}, "above zero"),
        ({"pad": 256}, "pad 256 is not a gray"),
        ({"pad": True}, "pad True is not a gray"),
        ({"pad": 0, "resize": 256}, "neither resize nor crop_fraction"),
    ],
)
def test_a_preprocessing_that_cannot_be_is_refused(change: dict[str, object], cause: str) -> None:
    values = {"size": (224, 224), **change}
    with pytest.raises(ContractError, match=cause):
        preprocess_from_dict(values)


MAP = {"grid": [2, 2], "cells": [2, 2], "shapes": [[0.5, 0.5]]}


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ({"decoder": "yolo"}, "decoder 'yolo' is none of nanodet, ssd"),
        ({"decoder": "nanodet"}, "nanodet without strides"),
        ({"decoder": "ssd"}, "ssd without maps"),
        ({"decoder": "nanodet", "strides": [8, 0]}, "are not pixels"),
        ({"decoder": "nanodet", "strides": [True]}, "are not pixels"),
        ({"decoder": "nanodet", "strides": [8], "bins": 1}, "bins 1"),
        ({"decoder": "nanodet", "strides": [8], "activation": "relu"}, "activation 'relu'"),
        ({"decoder": "nanodet", "strides": [8], "score_threshold": math.nan}, "score_threshold"),
        ({"decoder": "nanodet", "strides": [8], "iou_threshold": "0.5"}, "iou_threshold"),
        ({"decoder": "nanodet", "strides": [8], "max_boxes": 0}, "max_boxes 0"),
        ({"decoder": "nanodet", "strides": [8], "background": -1}, "background -1"),
        ({"decoder": "ssd", "maps": [MAP], "variances": [0.1]}, "variances"),
        ({"decoder": "ssd", "maps": [MAP | {"grid": [2, 1 << 20]}]}, "map of"),
        ({"decoder": "ssd", "maps": [MAP | {"grid": [4000, 4000]}]}, "more than"),
        ({"decoder": "ssd", "maps": [MAP | {"cells": [0, 2]}]}, "cells to the image"),
        ({"decoder": "ssd", "maps": [MAP | {"shapes": [[2, 1]]}]}, "shares of the image"),
        ({"decoder": "ssd", "maps": [MAP | {"side": 3}]}, "unknown key 'side'"),
        ({"decoder": "ssd", "anchors": 9}, "unknown key 'anchors'"),
    ],
)
def test_a_description_of_boxes_that_cannot_be_is_refused(
    values: dict[str, object], cause: str
) -> None:
    with pytest.raises(ContractError, match=cause):
        detection_from_dict(values)


def test_boxes_are_described_for_detectors_and_for_nothing_else() -> None:
    with pytest.raises(ContractError, match="task detection without a description"):
        dataclasses.replace(CONTRACT, task="detection")
    with pytest.raises(ContractError, match="task classification with a description"):
        dataclasses.replace(CONTRACT, detection=DETECTION)


def test_gray_has_one_channel_and_nhwc_puts_it_last() -> None:
    gray = Preprocess(size=(32, 48), color="GRAY", mean=(0.5,), std=(0.5,), layout="NHWC")
    assert gray.tensor_shape(batch=2) == (2, 32, 48, 1)


def test_a_class_without_a_name_is_called_by_its_number() -> None:
    assert CONTRACT.label(1) == "dog"
    assert CONTRACT.label(7) == "class 7"
