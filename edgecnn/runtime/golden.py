"""The golden check: a small image and its answer, so that any device can prove itself."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Golden
from edgecnn.errors import ContractError
from edgecnn.runtime.preprocess import Image
from edgecnn.runtime.results import top_k

Answer = Callable[[Image], NDArray[Any]]

# Share of the outputs' spread that another CPU may differ by. Float sums are only reordered;
# integer kernels may round at other places (and saturate where there is no VNNI, which this finds).
# FP16 rounds every layer's output to 11 bits, and engines differ in which of them they ever write.
TOLERANCE = {"fp32": 1e-3, "w8": 1e-3, "fp16": 0.02, "int8": 0.05, "int8+fp16": 0.05}


@dataclass(frozen=True, slots=True)
class Verification:
    """What the golden check found: the class, and the largest difference of the outputs."""

    passed: bool
    expected: int
    answered: int
    max_abs_diff: float
    tolerance: float

    @property
    def problem(self) -> str:
        """What is wrong, in a few words; nothing where it passed."""
        if self.passed:
            return ""
        if self.max_abs_diff > self.tolerance:
            return f"off by {self.max_abs_diff:.2g}, {self.tolerance:.2g} is allowed"
        return f"class {self.answered} instead of {self.expected}"


def make_golden(images: Iterable[Image], answer: Answer, *, precision: str, top: int = 5) -> Golden:
    """Take the image whose best class leads by most: the one least likely to flip by rounding.

    In the output's own units: what rounding adds is about as large for an image whose outputs lie
    close together, and there it would be a larger share of them.
    """
    image, output = max(
        ((image, answer(image).ravel()) for image in images), key=lambda pair: _lead(pair[1])
    )
    spread = float(output.max() - output.min())
    height, width, _ = image.shape
    return Golden(
        image=base64.b64encode(zlib.compress(image.tobytes(), 9)).decode("ascii"),
        image_shape=(height, width, 3),
        top=top_k(output, top),
        tolerance=TOLERANCE[precision] * spread,
    )


def golden_image(golden: Golden) -> Image:
    """The image of a golden check, uint8 (H, W, 3) RGB; raises ContractError where damaged."""
    size = int(np.prod(golden.image_shape))
    try:
        # The declared size bounds what a hostile stream may unpack to.
        pixels = zlib.decompressobj().decompress(base64.b64decode(golden.image), size + 1)
    except (ValueError, zlib.error) as error:
        raise ContractError(
            f"damaged golden image ({error})", hint="export or quantize the model again"
        ) from error
    if len(pixels) != size:
        raise ContractError(
            f"golden image of {len(pixels)} bytes, not {size}",
            hint="export or quantize the model again",
        )
    return np.frombuffer(pixels, dtype=np.uint8).reshape(golden.image_shape)


def verify(golden: Golden, answer: Answer, *, same_best: bool = True) -> Verification:
    """Run the golden check; passed means the same class and outputs within the tolerance.

    Without `same_best` the outputs alone count: the best of a map's pixels leads by nothing.
    """
    output = answer(golden_image(golden)).ravel()
    expected = golden.top[0][0]
    if max(index for index, _ in golden.top) >= output.size:
        raise ContractError(
            f"golden check of class {expected}, the model has {output.size}",
            hint="export or quantize the model again",
        )
    diff = max(abs(float(output[index]) - value) for index, value in golden.top)
    answered = int(np.argmax(output))
    passed = (answered == expected or not same_best) and diff <= golden.tolerance
    return Verification(passed, expected, answered, diff, golden.tolerance)


def _lead(output: NDArray[Any]) -> float:
    """How far the best output is ahead of the second."""
    if output.size < 2:
        return 0.0
    second, first = np.sort(output)[-2:]
    return float(first - second)
