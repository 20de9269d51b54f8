"""The compiled helper says what NumPy says: one preprocessing, two speeds."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.contract import Filter, Preprocess
from edgecnn.datasets.natural import natural_images
from edgecnn.errors import EngineError
from edgecnn.runtime import native
from edgecnn.runtime.preprocess import Image, preprocess, resized

COMPILER = next(filter(shutil.which, ("cc", "gcc", "clang")), "")
FILTERS: tuple[Filter, ...] = ("nearest", "box", "bilinear", "bicubic", "lanczos")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if not COMPILER:
        pytest.skip("needs a C compiler")
    with pytest.MonkeyPatch.context() as patch:
        cache = tmp_path_factory.mktemp("cache")
        patch.setenv("EDGECNN_CACHE", str(cache))
        assert native.build_helper() is True
        yield cache


def numpys(image: Image, spec: Preprocess) -> tuple[Image, np.ndarray]:
    """Pixels and tensor as NumPy alone makes them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(native.OFF, "1")
        assert native.helper() is None
        return resized(image, spec), preprocess(image, spec)


def assert_same_pixels(image: Image, spec: Preprocess) -> None:
    pixels, tensor = numpys(image, spec)
    assert native.helper() is not None
    np.testing.assert_array_equal(resized(image, spec), pixels)
    np.testing.assert_array_equal(preprocess(image, spec), tensor)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    size=st.tuples(st.integers(1, 64), st.integers(1, 64)),
    more=st.none() | st.integers(0, 40),
    filter_=st.sampled_from(FILTERS),
    color=st.sampled_from(["RGB", "BGR"]),
    layout=st.sampled_from(["NCHW", "NHWC"]),
    pad=st.none() | st.just(114),
    steps=st.tuples(st.sampled_from([-2, -1, 1, 2]), st.sampled_from([-2, -1, 1, 2])),
)
def test_it_agrees_with_numpy_on_any_geometry_anywhere_in_memory(
    built: Path,
    height: int,
    width: int,
    size: tuple[int, int],
    more: int | None,
    filter_: Filter,
    color: str,
    layout: str,
    pad: int | None,
    steps: tuple[int, int],
) -> None:
    whole = np.random.default_rng(height * 301 + width).integers(
        0, 256, (height, width, 3), dtype=np.uint8
    )
    image = whole[:: steps[0], :: steps[1]]
    spec = Preprocess(
        size=size,
        resize=None if more is None or pad is not None else max(size) + more,
        filter=filter_,
        color=color,  # type: ignore[arg-type]
        layout=layout,  # type: ignore[arg-type]
        mean=(0.4, 0.5, 0.6),
        std=(0.2, 0.3, 0.4),
        pad=pad,
    )
    assert_same_pixels(image, spec)


@pytest.mark.parametrize("filter_", FILTERS)
def test_it_agrees_on_a_camera_frame(built: Path, filter_: Filter) -> None:
    frame = next(natural_images(1, height=480, width=640, seed=1))
    assert_same_pixels(frame, Preprocess(size=(224, 224), resize=256, filter=filter_))
    assert_same_pixels(frame[7:-9, 11:-13], Preprocess(size=(224, 224), filter=filter_))


def test_plain_c_says_what_the_processors_own_way_says(built: Path, tmp_path: Path) -> None:
    """For processors that have neither AVX2 nor NEON."""
    library = tmp_path / "plain.so"
    command = [COMPILER, *native._FLAGS, "-O1", "-U__AVX2__", "-U__ARM_NEON", "-x", "c", "-"]
    subprocess.run([*command, "-o", str(library)], input=native._source(), check=True)
    plain = native.Helper(ctypes.CDLL(str(library)))
    frame = next(natural_images(1, height=90, width=131, seed=4))
    for filter_ in FILTERS:
        spec = Preprocess(size=(29, 37), filter=filter_)
        np.testing.assert_array_equal(plain.resize(frame, spec), resized(frame, spec))


@pytest.mark.parametrize("side", [1, 2, 7, 8, 9, 30])
def test_white_stays_white_up_to_the_last_row_and_column(built: Path, side: int) -> None:
    frame = np.full((side, 40, 3), 255, dtype=np.uint8)
    assert (resized(frame, Preprocess(size=(5, 5))) == 255).all()


def test_a_bgr_frame_is_taken_as_its_rgb_view(built: Path) -> None:
    frame = next(natural_images(1, height=90, width=120, seed=2))
    bgr = frame[:, :, ::-1].copy()
    spec = Preprocess(size=(32, 32), resize=40, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    np.testing.assert_array_equal(preprocess(bgr[:, :, ::-1], spec), preprocess(frame, spec))


def test_rows_may_lie_anywhere_in_memory(built: Path) -> None:
    frame = next(natural_images(1, height=64, width=96, seed=2))
    spec = Preprocess(size=(24, 24))
    one_row = np.broadcast_to(frame[:1], frame.shape)
    for view in (frame[::-1], frame[:, ::-1], frame[::2], frame[3:, 5:], one_row, frame[:1]):
        np.testing.assert_array_equal(resized(view, spec), resized(view.copy(), spec))
    upside_down = np.frombuffer(bytes(64 * 96 * 3), np.uint8).reshape(64, 96, 3)[::-1]
    assert native.helper().resize(upside_down, spec) is None, "loads would reach behind its end"  # type: ignore[union-attr]


def test_later_processes_find_what_one_has_built(built: Path) -> None:
    assert native.build_helper() is False
    code = "from edgecnn.runtime import native; print(native.in_use())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "compiled helper"


def test_a_damaged_library_is_not_used(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (library,) = built.rglob("resize.so")
    whole = library.read_bytes()
    library.unlink()  # mapped into this process: its bytes must not change
    library.write_bytes(whole[:100])
    native._loaded.cache_clear()
    assert native.helper() is None, "an entry whose files changed is not whole"
    assert native.build_helper() is True
    assert native.helper() is not None


def test_without_a_compiler_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(EngineError, match="no C compiler"):
        native.build_helper()


def test_a_compiler_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho 'cc: no such target' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CC", os.fspath(compiler))
    with pytest.raises(EngineError, match="no such target"):
        native.build_helper()
    assert not list((tmp_path / "cache" / "engines").glob("[!.]*"))
