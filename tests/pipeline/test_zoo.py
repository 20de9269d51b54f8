"""Every network of the zoo that sees one image goes all the way; those with depthwise convolutions
in a file of their own.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.zoo import ModelSpec, find
from tests.pipeline.zoo_way import ALL, BUILT, ONE_OF_EACH, SMALLER, cases, goes_all_the_way


def test_every_family_has_one_that_is_always_tested() -> None:
    assert {find(name).family for name in ONE_OF_EACH} == {find(name).family for name in ALL}
    assert set(SMALLER) <= set(ONE_OF_EACH)


@pytest.mark.parametrize("spec", cases(depthwise=False))
def test_a_network_goes_all_the_way(
    spec: ModelSpec, pictures: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    builds = spec.name in BUILT or request.node.get_closest_marker("slow") is not None
    goes_all_the_way(spec, pictures, tmp_path, builds=builds)
