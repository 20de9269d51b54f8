"""Whether two versions of a network still give the same answers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from edgecnn.errors import ParityError
from edgecnn.graph.session import Session

Tensor = NDArray[np.float32]
Outputs = Sequence[NDArray[np.generic]]

# Of the largest output. Two correct float32 programs add in another order; on the zoo and on ten
# networks of torchvision that was measured to move outputs by 1e-7 to 2e-5. One weight with a wrong
# sign in the middle of ResNet-50 moves them by 3e-4, a wrong epsilon of batch norm by 1e-2.
TOLERANCE = 1e-4

# An open batch is tried with one image, then with an odd number, which no other dimension has.
_OPEN_BATCH = 3

_MOST_DB = 150.0  # float32 has 24 bits, 144 dB: nothing better can be told apart


@dataclass(frozen=True, slots=True)
class Parity:
    """How far the answers to `n` images are from the reference.

    `max_abs_diff` is the largest difference of any output value; `rel` is the same as a share of
    the largest reference value, the worst output tensor counting; `sqnr_db` is the power of the
    reference over that of the difference, -150 to 150.
    """

    n: int
    max_abs_diff: float
    rel: float
    top1_equal: int
    sqnr_db: float


def in_batches(images: Sequence[Tensor], batch: int | None) -> Iterator[Tensor]:
    """Images (1, ...) in the batches that a graph takes; None stands for an open batch.

    The last batch is filled up with the first of the images.
    """
    if batch is None:
        yield from images[:1]
        images, batch = images[1:], _OPEN_BATCH
    for start in range(0, len(images), batch):
        yield np.concatenate(list(islice(cycle(images), start, start + batch)))


def compare_outputs(
    expected: Iterable[Outputs], model: ModelProto, inputs: Iterable[Tensor]
) -> Parity:
    """Run batches through a model in ONNX Runtime and `compare` with the expected answers."""
    return compare(expected, answers(model, inputs))


def answers(model: ModelProto, inputs: Iterable[Tensor]) -> Iterator[Outputs]:
    """What ONNX Runtime answers to each batch; raises GraphError where it cannot."""
    session = Session(model)
    for batch in inputs:
        yield session.run(batch)


def compare(expected: Iterable[Outputs], actual: Iterable[Outputs]) -> Parity:
    """Compare answers batch by batch; every output has the images on its first axis.

    Raises ParityError where an output is NaN or infinite, or has another shape.
    """
    sums = _Sums()
    for wanted, given in zip(expected, actual, strict=True):
        sums.add(wanted, given)
    return sums.parity()


def check_parity(parity: Parity, *, what: str) -> None:
    """Raise ParityError, with the numbers, where the answers differ by more than rounding does.

    The best class needs no check of its own: it can only change where the reference's two best
    are closer than twice the tolerance.
    """
    if parity.n and parity.rel <= TOLERANCE:
        return
    raise ParityError(
        f"{what}: outputs differ by {parity.max_abs_diff:.1e}, {parity.rel:.1e} of the largest "
        f"({TOLERANCE:.0e} allowed), top-1 equal on {parity.top1_equal} of {parity.n}",
        hint="look for randomness in forward(), such as dropout that ignores evaluation mode",
    )


class _Sums:
    """Running sums over batches, one entry for each output."""

    def __init__(self) -> None:
        self._images = 0
        self._top1_equal = 0
        self._worst: dict[int, float] = {}
        self._largest: dict[int, float] = {}
        self._signal = 0.0
        self._noise = 0.0

    def add(self, wanted: Outputs, given: Outputs) -> None:
        for index, (want, give) in enumerate(zip(wanted, given, strict=True)):
            _check(want, give)
            self._add_output(index, want.astype(np.float64), give.astype(np.float64))
        self._images += len(wanted[0])
        self._top1_equal += int(np.sum(_best(wanted[0]) == _best(given[0])))

    def _add_output(self, index: int, want: NDArray[np.float64], give: NDArray[np.float64]) -> None:
        difference = np.abs(want - give)
        self._worst[index] = max(self._worst.get(index, 0.0), float(difference.max(initial=0)))
        largest = float(np.abs(want).max(initial=0))
        self._largest[index] = max(self._largest.get(index, 0.0), largest)
        self._signal += float(np.sum(want**2))
        self._noise += float(np.sum(difference**2))

    def parity(self) -> Parity:
        shares = (_ratio(worst, self._largest[index]) for index, worst in self._worst.items())
        return Parity(
            n=self._images,
            max_abs_diff=max(self._worst.values(), default=0.0),
            rel=max(shares, default=0.0),
            top1_equal=self._top1_equal,
            sqnr_db=_decibel(self._signal, self._noise),
        )


def _check(want: NDArray[np.generic], give: NDArray[np.generic]) -> None:
    if want.shape != give.shape:
        raise ParityError(
            f"an output has the shape {give.shape}, the reference's has {want.shape}",
            hint="the graph has lost a dimension: export with another --batch",
        )
    for who, values in (("the reference's", want), ("the model's", give)):
        if not np.isfinite(values).all():
            raise ParityError(
                f"{who} outputs hold NaN or infinity",
                hint="check the weights: they may have diverged in training",
            )


def _best(output: NDArray[np.generic]) -> NDArray[np.intp]:
    best: NDArray[np.intp] = np.argmax(output.reshape(len(output), -1), axis=1)
    return best


def _ratio(part: float, whole: float) -> float:
    if part == 0:
        return 0.0
    return part / whole if whole > 0 else math.inf


def _decibel(signal: float, noise: float) -> float:
    if signal == noise == 0:
        return _MOST_DB
    power_ratio = _ratio(signal, noise)
    if power_ratio in (0, math.inf):
        return math.copysign(_MOST_DB, power_ratio - 1)
    return max(-_MOST_DB, min(10 * math.log10(power_ratio), _MOST_DB))
