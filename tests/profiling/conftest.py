"""Two small networks to measure, and a cache for each module's engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.profiling.toys import write_color_net


@pytest.fixture(scope="module")
def module_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Engines that all tests of a module share: each of them would build them again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGECNN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    return write_color_net(folder / "light.onnx", provenance={"model": "light"})


@pytest.fixture(scope="module")
def heavy(light: Path) -> Path:
    said = {"model": "heavy", "precision": "int8"}
    return write_color_net(light.with_name("heavy.onnx"), work=60, provenance=said)
