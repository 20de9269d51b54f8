"""The contract survives the way into a file and back, and nothing damaged passes for one."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.contract import (
    Contract,
    Golden,
    Preprocess,
    TensorSpec,
    from_json,
    preprocess_from_dict,
    to_json,
)
from edgecnn.errors import ContractError

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


def test_a_contract_comes_back_as_it_went() -> None:
    assert from_json(to_json(CONTRACT)) == CONTRACT


def test_the_format_is_the_one_that_earlier_files_hold() -> None:
    assert to_json(CONTRACT) + "\n" == GOLDEN_FILE.read_text(encoding="utf-8")


def test_a_later_format_is_refused_by_its_number() -> None:
    document = json.loads(to_json(CONTRACT)) | {"format": 2}
    with pytest.raises(ContractError, match=r"x\.onnx: contract of format 2, this edgecnn reads 1"):
        from_json(json.dumps(document), source="x.onnx")


@given(st.data())
def test_any_damage_ends_in_our_error_or_in_a_whole_contract(data: st.DataObject) -> None:
    text = bytearray(to_json(CONTRACT).encode())
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
    ],
)
def test_a_preprocessing_that_cannot_be_is_refused(change: dict[str, object], cause: str) -> None:
    values = {"size": (224, 224), **change}
    with pytest.raises(ContractError, match=cause):
        preprocess_from_dict(values)


def test_gray_has_one_channel_and_nhwc_puts_it_last() -> None:
    gray = Preprocess(size=(32, 48), color="GRAY", mean=(0.5,), std=(0.5,), layout="NHWC")
    assert gray.tensor_shape(batch=2) == (2, 32, 48, 1)


def test_a_class_without_a_name_is_called_by_its_number() -> None:
    assert CONTRACT.label(1) == "dog"
    assert CONTRACT.label(7) == "class 7"
