"""Whatever a picture file holds, the network sees upright uint8 RGB, or the file is refused."""

from __future__ import annotations

import contextlib
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.datasets.images import (
    MAX_PIXELS,
    grey,
    grey_thumbnail,
    image_paths,
    read_image,
    read_rough,
)
from edgecnn.errors import DataError

RED, GREEN, BLUE, WHITE = (220, 30, 40), (20, 200, 60), (10, 20, 230), (255, 255, 255)


def quarters() -> Image.Image:
    """16x24 (height x width), four colours: any turn or mirror shows."""
    image = Image.new("RGB", (24, 16), RED)
    image.paste(GREEN, (12, 0, 24, 8))
    image.paste(BLUE, (0, 8, 12, 16))
    image.paste(WHITE, (12, 8, 24, 16))
    return image


def corners(pixels: np.ndarray) -> list[tuple[int, ...]]:
    return [tuple(map(int, pixels[row, column])) for row in (0, -1) for column in (0, -1)]


def assert_refused(path: Path, cause: str) -> None:
    with pytest.raises(DataError, match=cause) as refusal:
        read_image(path)
    assert path.name in str(refusal.value)
    assert "\n" not in str(refusal.value) + refusal.value.hint


# --- pictures as people have them


@pytest.mark.parametrize("extension", ["png", "bmp", "tiff", "ppm", "gif", "webp"])
def test_a_lossless_picture_comes_back_pixel_for_pixel(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"picture.{extension}"
    quarters().save(path, lossless=True)  # the word matters to WebP, the others ignore it
    pixels = read_image(path)
    assert pixels.dtype == np.uint8
    assert pixels.flags["C_CONTIGUOUS"]
    assert pixels.flags["WRITEABLE"]
    np.testing.assert_array_equal(pixels, np.asarray(quarters()))


def test_grey_and_one_bit_pictures_get_three_equal_channels(tmp_path: Path) -> None:
    for mode in ("L", "1"):
        quarters().convert(mode).save(tmp_path / f"{mode}.png")
        pixels = read_image(tmp_path / f"{mode}.png")
        assert pixels.shape == (16, 24, 3)
        assert (pixels[..., 0] == pixels[..., 2]).all()
        assert pixels[-1, -1, 0] == 255


def test_a_palette_is_looked_up_with_and_without_transparency(tmp_path: Path) -> None:
    palette = quarters().quantize(4)
    palette.save(tmp_path / "plain.png")
    palette.save(tmp_path / "one.png", transparency=0)
    palette.save(tmp_path / "bytes.png", transparency=bytes([0, 128, 255, 255]))
    for name in ("plain.png", "one.png", "bytes.png"):
        assert corners(read_image(tmp_path / name)) == [RED, GREEN, BLUE, WHITE]


def test_transparency_is_dropped_as_in_the_training_recipes(tmp_path: Path) -> None:
    see_through = quarters().convert("RGBA")
    see_through.putalpha(Image.linear_gradient("L").resize((24, 16)))
    see_through.save(tmp_path / "rgba.png")
    see_through.convert("LA").save(tmp_path / "la.png")
    np.testing.assert_array_equal(read_image(tmp_path / "rgba.png"), np.asarray(quarters()))
    grey = np.asarray(see_through.convert("LA").convert("RGB"))
    np.testing.assert_array_equal(read_image(tmp_path / "la.png"), grey)


def test_sixteen_bit_grey_is_scaled_not_clipped_to_white(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None, :].repeat(4, axis=0)
    for name in ("ramp.png", "ramp.tiff"):
        Image.fromarray(ramp).save(tmp_path / name)
        np.testing.assert_array_equal(read_image(tmp_path / name)[0, :, 1], np.arange(256))
    (tmp_path / "ramp.pgm").write_bytes(b"P5 256 4 65535\n" + ramp.astype(">u2").tobytes())
    np.testing.assert_array_equal(read_image(tmp_path / "ramp.pgm")[3, :, 0], np.arange(256))


def test_sixteen_bit_colour_keeps_its_colours(tmp_path: Path) -> None:
    rows = b"".join(b"\0" + (quarters_16_bit()[row]).tobytes() for row in range(16))
    (tmp_path / "deep.png").write_bytes(png(24, 16, bit_depth=16, colour_type=2, rows=rows))
    assert corners(read_image(tmp_path / "deep.png")) == [RED, GREEN, BLUE, WHITE]


def quarters_16_bit() -> np.ndarray:
    return (np.asarray(quarters()).astype(">u2") * 257).astype(">u2")


def png(width: int, height: int, *, bit_depth: int, colour_type: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bit_depth, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def test_wide_integers_and_floats_are_scaled_by_what_they_hold(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None, :]
    wide = np.rint(ramp.astype(np.float64) * (2**31 - 1)).astype(np.int32)
    Image.fromarray(wide).save(tmp_path / "int32.tiff")
    Image.fromarray(ramp).save(tmp_path / "unit.tiff")
    Image.fromarray(ramp * 255).save(tmp_path / "bytes.tiff")
    Image.fromarray(np.full((2, 2), -1, dtype=np.float32)).save(tmp_path / "below.tiff")
    for name in ("int32.tiff", "unit.tiff", "bytes.tiff"):
        np.testing.assert_array_equal(read_image(tmp_path / name)[0, :, 0], np.arange(256))
    assert read_image(tmp_path / "below.tiff").max() == 0


def test_cmyk_and_ycck_jpegs_become_the_colours_that_were_printed(tmp_path: Path) -> None:
    inks = (35, 225, 215, 0)  # red, as cyan, magenta, yellow and black
    Image.new("CMYK", (16, 16), inks).save(tmp_path / "cmyk.jpg", quality=100)
    (tmp_path / "ycck.jpg").write_bytes(ycck_jpeg(tmp_path, inks))
    for name in ("cmyk.jpg", "ycck.jpg"):
        assert np.abs(read_image(tmp_path / name)[8, 8].astype(int) - (220, 30, 40)).max() <= 3


def ycck_jpeg(folder: Path, inks: tuple[int, int, int, int]) -> bytes:
    """Pillow writes no YCCK: store luma and chroma of the inks and mark the planes as such."""
    planes = Image.new("RGB", (16, 16), inks[:3]).convert("YCbCr").getpixel((0, 0))
    assert isinstance(planes, tuple)
    inverted = tuple(255 - int(plane) for plane in planes)
    path = folder / "planes.jpg"
    Image.new("CMYK", (16, 16), (*inverted, inks[3])).save(path, quality=100)
    adobe = b"Adobe\0\x64\0\0\0\0"
    assert adobe + b"\0" in path.read_bytes()
    return path.read_bytes().replace(adobe + b"\0", adobe + b"\2")


@pytest.mark.parametrize("extension", ["jpg", "png", "tiff", "webp"])
@pytest.mark.parametrize(("orientation", "seen"), [(6, "BRWG"), (3, "WBGR"), (2, "GRWB")])
def test_a_camera_held_sideways_gives_an_upright_picture(
    tmp_path: Path, extension: str, orientation: int, seen: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    quarters().save(tmp_path / f"held.{extension}", exif=exif, quality=100)
    names = {"R": RED, "G": GREEN, "B": BLUE, "W": WHITE}
    for corner, name in zip(corners(read_image(tmp_path / f"held.{extension}")), seen, strict=True):
        assert np.abs(np.subtract(corner, names[name])).max() < 25


def test_damaged_exif_data_does_not_cost_the_picture(tmp_path: Path) -> None:
    quarters().save(tmp_path / "odd.jpg", exif=b"Exif\0\0no TIFF header here", quality=100)
    assert read_image(tmp_path / "odd.jpg").shape == (16, 24, 3)


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    later = Image.new("RGB", (24, 16), BLUE)
    quarters().save(tmp_path / "moving.gif", save_all=True, append_images=[later, later])
    assert corners(read_image(tmp_path / "moving.gif")) == [RED, GREEN, BLUE, WHITE]


def test_threads_read_without_a_warning_and_leave_no_filter_behind(tmp_path: Path) -> None:
    see_through = bytes([0, 128, 255, 255])  # Pillow warns of such palettes
    quarters().quantize(4).save(tmp_path / "palette.png", transparency=see_through)
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as threads:
        read = list(threads.map(read_image, [tmp_path / "palette.png"] * 200))
    assert {pixels.shape for pixels in read} == {(16, 24, 3)}
    assert list(warnings.filters) == before


# --- what is no picture


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    assert_refused(tmp_path / "absent.jpg", "No such file")
    assert_refused(tmp_path, "not a file")
    assert_refused(tmp_path / "empty.jpg", "empty")


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.jpg").write_text("Dear camera, ...")
    (tmp_path / "drawing.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    assert_refused(tmp_path / "letter.jpg", "not an image")
    assert_refused(tmp_path / "drawing.png", "not an image")


@pytest.mark.parametrize("extension", ["jpg", "png", "bmp", "tiff", "gif", "webp", "ppm"])
def test_a_truncated_picture_is_refused(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"half.{extension}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    for part in (0.9, 0.5, 0.02):
        path.write_bytes(whole[: int(len(whole) * part)])
        assert_refused(path, "damaged|not an image")


def test_a_picture_that_declares_too_much_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    for side in (13_400, 60_000):  # just above our limit, and far above
        bomb = tmp_path / f"{side}.png"
        bomb.write_bytes(png(side, side, bit_depth=8, colour_type=0, rows=b""))
        assert side * side > MAX_PIXELS
        assert_refused(bomb, "178 million pixels")


def test_pixels_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 2), np.nan, dtype=np.float32)).save(tmp_path / "nan.tiff")
    assert_refused(tmp_path / "nan.tiff", "finite")


def test_mutated_pictures_end_in_our_error_or_a_picture(tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    for extension in ("jpg", "png", "gif", "tiff", "webp", "bmp"):
        path = tmp_path / f"strange.{extension}"
        quarters().save(path)
        whole = np.frombuffer(path.read_bytes(), dtype=np.uint8)
        for _ in range(25):
            mutated = whole.copy()
            mutated[random.integers(0, len(whole), 4)] = random.integers(0, 256, 4)
            path.write_bytes(mutated.tobytes())
            with contextlib.suppress(DataError):
                assert read_image(path).shape[2] == 3


# --- folders


def test_a_folder_is_walked_in_natural_order_without_hidden_files(tmp_path: Path) -> None:
    names = ("10.jpg", "2.JPG", "b/1.png", "a/3.Webp", "a/20.tif", ".hidden.jpg", ".git/x.jpg")
    for name in (*names, "notes.txt", "labels.tsv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in image_paths(tmp_path)]
    assert found == ["2.JPG", "10.jpg", "a/3.Webp", "a/20.tif", "b/1.png"]


def test_one_image_stands_for_a_folder_of_one(tmp_path: Path) -> None:
    quarters().save(tmp_path / "cat.png")
    assert image_paths(tmp_path / "cat.png") == (tmp_path / "cat.png",)


def test_a_missing_or_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such image"):
        image_paths(tmp_path / "cat.jpg")
    with pytest.raises(DataError, match="holiday: no such folder"):
        image_paths(tmp_path / "holiday")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=f"{tmp_path.name}: no images"):
        image_paths(tmp_path)


# --- thumbnails to compare pictures by


def test_a_thumbnail_is_the_shrunk_grey_picture(tmp_path: Path) -> None:
    quarters().resize((2400, 1600)).save(tmp_path / "large.jpg", quality=95)
    rough = read_rough(tmp_path / "large.jpg", least=(64, 72))
    assert rough.size < 2400 * 1600 * 3 / 16
    small = grey_thumbnail(grey(rough), size=(8, 9))
    assert small.shape == (8, 9)
    slow = grey_thumbnail(grey(read_image(tmp_path / "large.jpg")), size=(8, 9))
    assert np.abs(small.astype(int) - slow).max() <= 3
