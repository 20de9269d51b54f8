"""Image files as the networks want them: uint8 HWC RGB, whatever the file holds."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
from numpy.typing import NDArray

from edgecnn.datasets.quiet import Quiet
from edgecnn.datasets.sounds import EXTENSIONS as SOUNDS
from edgecnn.errors import DataError
from edgecnn.files import atomic_path
from edgecnn.runtime.preprocess import Image

EXTENSIONS = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
)
MAX_PIXELS = 178_000_000

# Pillow's other plugins parse formats nobody photographs in; one of them starts Ghostscript.
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM")
_QUIET = Quiet()
_TOO_MANY = f"more than {MAX_PIXELS // 1_000_000} million pixels are declared"
KINDS = f"images end in one of: {' '.join(sorted(kind[1:] for kind in EXTENSIONS))}; sounds in wav"
_ADVICE = "replace the file or take it out of the folder"


def read_image(path: Path) -> Image:
    """The picture in a file as uint8 (height, width, 3), RGB, C-contiguous, upright.

    EXIF rotation is applied, an animation gives its first frame. Transparency is dropped, not
    blended: that is what Pillow's `convert("RGB")` does, and the published weights were trained
    through it. 16-bit and float pictures, which that call would clip to white, are scaled down.

    Raises DataError for anything that is not one whole picture of at most `MAX_PIXELS`.
    """
    with _opened(path) as image:
        return _to_rgb(image)


def read_rough(path: Path, *, least: tuple[int, int]) -> Image:
    """As `read_image`, but a JPEG may come smaller, at least `least` (height, width): faster.

    Good for comparing pictures, never for calibrating or judging. Raises DataError likewise.
    """
    with _opened(path) as image:
        if image.mode in ("RGB", "L"):
            image.draft(image.mode, least[::-1])
        return _to_rgb(image)


def write_png(target: Path, pixels: Image) -> None:
    """Write an RGB image as it is; raises FileError."""
    with atomic_path(target) as temporary:
        PIL.Image.fromarray(np.array(pixels, order="C")).save(
            temporary, format="PNG", compress_level=1
        )


def grey_thumbnail(pixels: Image, *, size: tuple[int, int]) -> Image:
    """A grey image (height, width), uint8, shrunk to `size` (height, width)."""
    small = PIL.Image.fromarray(pixels).resize(size[::-1], PIL.Image.Resampling.BOX)
    return np.array(small, dtype=np.uint8)


def grey(pixels: Image) -> Image:
    """The luminance of an RGB image (height, width, 3) as uint8 (height, width), ITU-R 601."""
    return np.array(PIL.Image.fromarray(pixels).convert("L"), dtype=np.uint8)


def image_paths(folder: Path) -> tuple[Path, ...]:
    """All images in a folder and below, in natural order ('2.jpg' before '10.jpg').

    Where there is none, all sounds. Goes by the extension and skips hidden files; a file stands for
    itself alone. Raises DataError when there is no such folder or nothing in it.
    """
    if folder.is_file():
        return (folder,)
    if not folder.is_dir():
        kind = "image" if folder.suffix.lower() in EXTENSIONS else "folder"
        raise DataError(f"{folder}: no such {kind}", hint="check the path to the images")
    paths = images_under(folder)
    if not paths:
        raise DataError(f"{folder}: no images in it", hint=KINDS)
    return paths


def images_under(folder: Path) -> tuple[Path, ...]:
    """As `image_paths`, for a folder that may hold none."""
    found = [path for path in visible_files(folder) if is_known_kind(path)]
    images = [path for path in found if path.suffix.lower() in EXTENSIONS]
    return tuple(sorted(images or found, key=natural_order))


def natural_order(path: Path) -> list[tuple[int, int, str]]:
    """A sorting key under which numbers in names count as numbers."""
    pieces = re.split(r"([0-9]+)", path.as_posix())
    key = [(1, int(piece), piece) if piece.isdecimal() else (0, 0, piece) for piece in pieces]
    return [*key, (2, 0, path.as_posix())]


def is_known_kind(path: Path) -> bool:
    """Whether a file's name says that it is an image or a sound."""
    return path.suffix.lower() in EXTENSIONS | SOUNDS


def visible_files(folder: Path) -> Iterator[Path]:
    """All files in a folder and below but hidden ones, in no order.

    Raises DataError for a folder that may not be read.
    """
    for parent, folders, files in os.walk(folder, onerror=_refuse_folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith("."):
                yield Path(parent, name)


def _refuse_folder(error: OSError) -> None:
    raise DataError(
        f"{error.filename}: {error.strerror}", hint="check the folder's permissions"
    ) from error


@contextmanager
def _opened(path: Path) -> Iterator[PIL.Image.Image]:
    """The file as Pillow sees it; whatever goes wrong while it is open becomes a DataError."""
    _check_file(path)
    try:
        # Pillow warns about palettes, EXIF and large pictures; all of them are dealt with.
        with _QUIET, PIL.Image.open(path, formats=_FORMATS) as image:
            _check_size(path, image)
            yield image
    except (DataError, GeneratorExit):
        raise
    except Exception as error:
        # A plugin raises whatever its parser tripped over, SyntaxError and struct.error included.
        raise DataError(f"{path}: {_cause(error)}", hint=_ADVICE) from error


def _check_file(path: Path) -> None:
    try:
        size_bytes = path.stat().st_size
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path}: {cause}", hint="check the path") from error
    if not path.is_file():
        raise DataError(f"{path}: not a file", hint="name an image file")
    if size_bytes == 0:
        raise DataError(f"{path}: the file is empty", hint=_ADVICE)


def _check_size(path: Path, image: PIL.Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise DataError(f"{path}: {width}x{height} pixels, {_TOO_MANY}", hint=_ADVICE)


def _cause(error: Exception) -> str:
    if isinstance(error, PIL.UnidentifiedImageError):
        return "not an image, or of a kind that is not read"
    if isinstance(error, PIL.Image.DecompressionBombError):
        return _TOO_MANY
    if isinstance(error, PermissionError):
        return "no permission to read it"
    text = " ".join(str(error).split()) or type(error).__name__
    return f"damaged image ({text:.80})"


def _to_rgb(image: PIL.Image.Image) -> Image:
    upright = _upright(image)
    if upright.mode == "F" or upright.mode.startswith("I"):
        grey = _scaled_to_bytes(np.asarray(upright))
        return np.repeat(grey[:, :, None], 3, axis=2)
    return np.array(upright.convert("RGB"), dtype=np.uint8, order="C")


def _upright(image: PIL.Image.Image) -> PIL.Image.Image:
    image.load()
    try:
        return PIL.ImageOps.exif_transpose(image)
    except Exception:
        # The pixels are whole; viewers show a picture with damaged EXIF data as it is, too.
        return image


def _scaled_to_bytes(values: NDArray[np.generic]) -> Image:
    """Wide grey values (height, width) to uint8 by the range that their kind stands for.

    Integers are 16-bit unless one of them is larger; floats run to the first of 1, 255 and
    65535 that holds them all.
    """
    exact = values.astype(np.float64)
    if not np.isfinite(exact).all():
        raise ValueError("not every pixel is a finite number")
    whites = (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (65535.0, 2.0**31 - 1)
    largest = exact.max(initial=0.0)
    white = next((white for white in whites if largest <= white), largest)
    return np.clip(np.rint(exact * (255 / white)), 0, 255).astype(np.uint8)
