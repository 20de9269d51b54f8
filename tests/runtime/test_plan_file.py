"""The first bytes of a plan say who wrote it; anything else is no plan."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.runtime.engines.plan_file import PlanHeader, read_plan_header

PARTS = st.tuples(*[st.integers(0, 255)] * 4)


def plan(folder: Path, data: bytes) -> Path:
    path = folder / "model.plan"
    path.write_bytes(data)
    return path


@given(version=PARTS, magic=st.sampled_from([b"ftrt", b"vtrt"]), rest=st.binary(max_size=20))
def test_kind_and_version(
    tmp_path_factory: pytest.TempPathFactory, version: tuple[int, ...], magic: bytes, rest: bytes
) -> None:
    folder = tmp_path_factory.mktemp("plan")
    header = read_plan_header(plan(folder, magic + bytes(20) + bytes(version) + rest))
    assert header is not None
    assert header.engine == {b"ftrt": "tensorrt", b"vtrt": "tensorrt-rtx"}[magic]
    assert header.version == version
    assert header.is_from(header.engine, version)
    assert header.is_from(header.engine, version[:3])
    assert not header.is_from(header.engine, ((version[0] + 1) % 256, *version[1:]))


@given(data=st.binary(max_size=64).filter(lambda data: data[:4] not in (b"ftrt", b"vtrt")))
def test_anything_else_is_no_plan(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("plan")
    assert read_plan_header(plan(folder, data)) is None


def test_a_plan_that_is_cut_off_or_missing_is_none(tmp_path: Path) -> None:
    assert read_plan_header(plan(tmp_path, b"ftrt" + bytes(23))) is None
    assert read_plan_header(tmp_path / "nothing.plan") is None


def test_the_other_engine_is_foreign() -> None:
    header = PlanHeader("tensorrt", (10, 3, 0, 26))
    assert header.is_from("tensorrt", (10, 3, 0, 26))
    assert not header.is_from("tensorrt-rtx", (10, 3, 0, 26))
    assert not header.is_from("tensorrt", (10, 3, 0, 30))
