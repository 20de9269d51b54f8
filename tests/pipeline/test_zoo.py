"""Every network of the zoo that sees one image goes all the way; those with depthwise convolutions
in a file of their own.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.zoo import ModelSpec, find, names
from tests.pipeline.test_detection import DETECTORS
from tests.pipeline.zoo_way import ALL, ONE_OF_EACH, SMALLER, cases, goes_all_the_way


def test_every_family_has_one_that_is_always_tested() -> None:
    assert {find(name).family for name in ONE_OF_EACH} == {find(name).family for name in ALL}
    assert set(SMALLER) <= set(ONE_OF_EACH)


def test_every_network_goes_all_the_way_at_its_full_width_or_nearly() -> None:
    """And so TensorRT-RTX builds it in FP32, FP16 and INT8; detectors go in a file of their own."""
    taken = [case for which in (True, False) for case in cases(depthwise=which)]
    whole = {case.values[0].name for case in taken if not str(case.id).endswith(" small")}
    assert whole | set(DETECTORS) == set(names())


@pytest.mark.parametrize("spec", cases(depthwise=False))
def test_a_network_goes_all_the_way(spec: ModelSpec, pictures: Path, tmp_path: Path) -> None:
    goes_all_the_way(spec, pictures, tmp_path)
