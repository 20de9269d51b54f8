"""One preprocessing for calibration, evaluation and camera; it must be the weights' own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Pillow

from edgecnn.contract import Filter, Preprocess
from edgecnn.datasets.natural import natural_images
from edgecnn.datasets.photos import packaged_photos
from edgecnn.errors import DataError
from edgecnn.runtime.native import OFF
from edgecnn.runtime.preprocess import (
    Image,
    placement,
    preprocess,
    preprocess_batch,
    resized,
    to_gray,
)
from edgecnn.runtime.resampling import WEIGHT_BITS, weights_of

GOLDEN_FILE = Path(__file__).parent.parent / "golden" / "preprocess.npz"
PILLOW: dict[Filter, Pillow.Resampling] = {
    "box": Pillow.Resampling.BOX,
    "bilinear": Pillow.Resampling.BILINEAR,
    "bicubic": Pillow.Resampling.BICUBIC,
    "lanczos": Pillow.Resampling.LANCZOS,
}


@pytest.fixture(scope="module", autouse=True)
def numpy_alone() -> Iterator[None]:
    """The reference; that the compiled helper says the same is tested in test_native.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(OFF, "1")
        yield


def photo(height: int, width: int) -> Image:
    return next(natural_images(1, height=height, width=width, seed=7))


def torchvision_recipe(image: Image, *, resize: int, crop: int, filter_: Filter) -> Image:
    """Short side to `resize` (the long side truncated), centre crop: with Pillow."""
    height, width = image.shape[:2]
    short = min(height, width)
    target = (
        resize if width == short else int(resize * width / height),
        resize if height == short else int(resize * height / width),
    )
    resampling = PILLOW.get(filter_, Pillow.Resampling.NEAREST)
    scaled = Pillow.fromarray(image).resize(target, resampling)
    left, top = round((target[0] - crop) / 2), round((target[1] - crop) / 2)
    return np.asarray(scaled.crop((left, top, left + crop, top + crop)))


def difference(ours: Image, reference: Image) -> NDArray[np.int16]:
    return np.asarray(np.abs(ours.astype(np.int16) - reference), dtype=np.int16)


@settings(deadline=None)
@given(
    source=st.integers(1, 5000),
    target=st.integers(1, 5000),
    place=st.floats(0, 1),
    filter_=st.sampled_from([*PILLOW]),
    antialias=st.booleans(),
)
def test_weights_are_whole_shares_whose_sums_are_exact_in_any_order(
    source: int, target: int, place: float, filter_: Filter, antialias: bool
) -> None:
    spec = Preprocess(size=(1, 1), filter=filter_, antialias=antialias)
    _, weights = weights_of(source, target, int(place * (target - 1)), spec)
    whole = weights * 2**WEIGHT_BITS
    np.testing.assert_array_equal(whole, np.rint(whole))
    assert whole.sum() == 2**WEIGHT_BITS
    assert np.abs(whole).max() < 2**15, "the helper's are int16"
    assert 255 * np.abs(whole).sum() + 2 ** (WEIGHT_BITS - 1) < 2**24, "NumPy's sums are float32"


@pytest.mark.parametrize("filter_", PILLOW)
@pytest.mark.parametrize("shape", [(480, 640), (333, 250), (90, 120), (256, 256), (1080, 1920)])
def test_the_resize_is_pillows_to_the_last_bit_but_one(
    shape: tuple[int, int], filter_: Filter
) -> None:
    image = photo(*shape)
    ours = resized(image, Preprocess(size=(224, 224), resize=256, filter=filter_))
    reference = torchvision_recipe(image, resize=256, crop=224, filter_=filter_)
    assert difference(ours, reference).max() <= 1
    assert difference(ours, reference).mean() <= 0.02


SIDES = st.tuples(st.integers(1, 900), st.integers(1, 900))


@settings(deadline=None)
@given(SIDES, SIDES)
def test_the_nearest_pixel_is_pillows(shape: tuple[int, int], size: tuple[int, int]) -> None:
    """Each pixel of the image says where it is, so that none can stand in for another."""
    y, x = np.indices(shape)
    image = np.stack([y % 256, x % 256, (y // 256) * 16 + x // 256], axis=2).astype(np.uint8)
    ours = resized(image, Preprocess(size=size, filter="nearest"))
    pillows = Pillow.fromarray(image).resize(size[::-1], Pillow.Resampling.NEAREST)
    np.testing.assert_array_equal(ours, np.asarray(pillows))


@pytest.mark.parametrize("shape", [(480, 640), (333, 250), (90, 120)])
def test_the_nearest_pixel_is_pillows_behind_a_crop_too(shape: tuple[int, int]) -> None:
    image = photo(*shape)
    ours = resized(image, Preprocess(size=(224, 224), resize=256, filter="nearest"))
    reference = torchvision_recipe(image, resize=256, crop=224, filter_="nearest")
    np.testing.assert_array_equal(ours, reference)


def test_the_recipe_agrees_on_real_photos() -> None:
    photos = packaged_photos()
    if not photos:
        pytest.skip("needs the photos of scikit-image and scikit-learn")
    spec = Preprocess(size=(224, 224), resize=232)
    for item in photos:
        reference = torchvision_recipe(item.image, resize=232, crop=224, filter_="bilinear")
        assert difference(resized(item.image, spec), reference).mean() < 1


def test_crop_fraction_cuts_before_it_resizes() -> None:
    image = photo(300, 400)
    ours = resized(image, Preprocess(size=(96, 96), crop_fraction=0.875, filter="bicubic"))
    side = int(0.875 * 300)
    top, left = (300 - side + 1) // 2, (400 - side + 1) // 2
    cut = Pillow.fromarray(image).crop((left, top, left + side, top + side))
    reference = np.asarray(cut.resize((96, 96), Pillow.Resampling.BICUBIC))
    assert difference(ours, reference).max() <= 1


def test_without_resize_the_whole_frame_is_stretched() -> None:
    image = photo(100, 200)
    ours = resized(image, Preprocess(size=(64, 48)))
    reference = Pillow.fromarray(image).resize((48, 64), Pillow.Resampling.BILINEAR)
    assert difference(ours, np.asarray(reference)).max() <= 1


def test_antialias_is_a_choice_that_shows() -> None:
    image = photo(1000, 1000)
    with_it = resized(image, Preprocess(size=(100, 100)))
    without = resized(image, Preprocess(size=(100, 100), antialias=False))
    assert difference(with_it, without).mean() > 2


def test_pixels_become_numbers_by_the_formula() -> None:
    image = photo(8, 8)
    spec = Preprocess(size=(8, 8), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    expected = (image / 255 - np.array(spec.mean)) / np.array(spec.std)
    np.testing.assert_allclose(preprocess(image, spec)[0], expected.transpose(2, 0, 1), atol=1e-5)


def test_layout_and_colour_order_are_only_an_order() -> None:
    image = photo(8, 8)
    rgb = preprocess(image, Preprocess(size=(8, 8)))
    bgr = preprocess(image, Preprocess(size=(8, 8), color="BGR"))
    nhwc = preprocess(image, Preprocess(size=(8, 8), layout="NHWC"))
    np.testing.assert_array_equal(bgr, rgb[:, ::-1])
    np.testing.assert_array_equal(nhwc, rgb.transpose(0, 2, 3, 1))


def test_gray_is_pillows_luma_exactly() -> None:
    image = photo(64, 64)
    np.testing.assert_array_equal(
        to_gray(image)[:, :, 0], np.asarray(Pillow.fromarray(image).convert("L"))
    )


def test_a_gray_picture_is_a_colour_picture_without_colour() -> None:
    gray = photo(16, 16)[:, :, 0]
    spec = Preprocess(size=(16, 16))
    np.testing.assert_array_equal(
        preprocess(gray, spec), preprocess(np.repeat(gray[:, :, None], 3, axis=2), spec)
    )


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8, 4), dtype=np.uint8),
        np.zeros((8, 8, 3), dtype=np.float32),
        np.zeros((0, 8, 3), dtype=np.uint8),
        np.zeros(8, dtype=np.uint8),
    ],
)
def test_what_is_no_image_is_refused(image: Image) -> None:
    with pytest.raises(DataError, match="shape"):
        preprocess(image, Preprocess(size=(8, 8)))


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    extra=st.none() | st.integers(0, 30),
    filter_=st.sampled_from(["nearest", *PILLOW]),
    value=st.integers(0, 255),
)
def test_a_flat_picture_stays_flat_at_any_size(
    height: int,
    width: int,
    size: tuple[int, int],
    extra: int | None,
    filter_: Filter,
    value: int,
) -> None:
    resize = None if extra is None else max(size) + extra
    image = np.full((height, width, 3), value, dtype=np.uint8)
    ours = resized(image, Preprocess(size=size, resize=resize, filter=filter_))
    assert ours.shape == (*size, 3)
    assert (ours == value).all()


@pytest.mark.parametrize(
    "out",
    [
        np.empty((1, 3, 8, 9), np.float32),
        np.empty((1, 3, 8, 8), np.float64),
        np.empty((1, 3, 8, 16), np.float32)[..., ::2],
    ],
)
def test_a_tensor_that_does_not_fit_is_not_filled(out: NDArray[np.float32]) -> None:
    with pytest.raises(DataError, match="to be filled"):
        preprocess(photo(8, 8), Preprocess(size=(8, 8)), out=out)


def test_a_batch_is_its_images_one_after_the_other() -> None:
    images = (photo(20, 30), photo(30, 20))
    spec = Preprocess(size=(16, 16))
    batch = preprocess_batch(images, spec)
    np.testing.assert_array_equal(batch[1:], preprocess(images[1], spec))


def test_the_numbers_are_those_of_earlier_versions() -> None:
    """Files that were calibrated yesterday must be fed the same numbers tomorrow."""
    stored = np.load(GOLDEN_FILE)
    spec = Preprocess(size=(12, 12), resize=14, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    np.testing.assert_allclose(preprocess(stored["image"], spec), stored["tensor"], atol=1e-6)


@pytest.mark.parametrize(
    "shape", [(480, 640), (640, 480), (333, 250), (90, 120), (96, 96), (7, 900)]
)
def test_padding_keeps_the_whole_image_and_its_ratio(shape: tuple[int, int]) -> None:
    image = np.maximum(photo(*shape), 1)  # no pixel looks like the padding
    spec = Preprocess(size=(96, 128), pad=0)
    padded = resized(image, spec)
    assert padded.shape == (96, 128, 3)
    rows, columns = np.nonzero(padded.any(axis=2))
    height, width = int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
    scale = min(96 / shape[0], 128 / shape[1])
    assert (height, width) == (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale)))
    assert abs(rows.min() - (96 - height) / 2) <= 0.5
    assert abs(columns.min() - (128 - width) / 2) <= 0.5
    inner = padded[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    stretched = np.asarray(Pillow.fromarray(image).resize((width, height), PILLOW["bilinear"]))
    assert difference(inner, stretched).max() <= 1
    np.testing.assert_array_equal(resized(padded, spec), padded)


@pytest.mark.parametrize(
    "spec",
    [
        Preprocess(size=(96, 128)),
        Preprocess(size=(96, 128), pad=114),
        Preprocess(size=(96, 96), resize=110),
        Preprocess(size=(96, 128), crop_fraction=0.875),
    ],
)
def test_what_lies_in_the_frame_is_found_where_its_placement_says(spec: Preprocess) -> None:
    image = np.zeros((300, 400, 3), dtype=np.uint8)
    image[120:160, 180:240] = 255
    rows, columns = np.nonzero(resized(image, spec)[:, :, 0] == 255)
    place = placement(300, 400, spec)
    top, bottom = (y * place.scale_y - place.start_y for y in (120, 160))
    left, right = (x * place.scale_x - place.start_x for x in (180, 240))
    assert rows.min() == pytest.approx(top, abs=1.5)
    assert rows.max() + 1 == pytest.approx(bottom, abs=1.5)
    assert columns.min() == pytest.approx(left, abs=1.5)
    assert columns.max() + 1 == pytest.approx(right, abs=1.5)
