"""Every network of the zoo with depthwise convolutions goes all the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.zoo import ModelSpec
from tests.pipeline.zoo_way import cases, goes_all_the_way


@pytest.mark.parametrize("spec", cases(depthwise=True))
def test_a_network_goes_all_the_way(spec: ModelSpec, pictures: Path, tmp_path: Path) -> None:
    goes_all_the_way(spec, pictures, tmp_path)
