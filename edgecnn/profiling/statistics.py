"""What samples say, and how sure that is.

Latencies come in blocks, and runs of one block resemble each other (clock, temperature,
neighbours). So blocks, not runs, are what is counted as independent: every interval of a latency
comes from how the blocks differ, with Student's t for their small number. In simulation (heavy
tails, two modes, drift, random block levels, autocorrelation 0.8; 12 blocks) this covers p50 and
p90 as often as it says, where resampling whole blocks falls to 77-92 %. Of 480 runs that resemble
their neighbours the largest lies below the true p99 in one profile of seven: no interval that ends
within the samples could hold it more often, so that of a p99 may be open.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Block = NDArray[Any]

CONFIDENCE = 0.95
CLAIM_CONFIDENCE = 0.99  # what "faster" must hold at
_NOTHING = 1e-24  # of a squared share: what rounding leaves where all blocks agree
_TAIL = 0.95  # of quantiles from here on the samples may not have seen the upper end
MIN_BLOCKS = 4  # fewer say nothing about how blocks differ
_FEWEST_RANKS = 8  # blocks; of fewer no order of ranks is rarer than 1 %
_MOST_RANKS = 200  # of more, means are as good as normal
MIN_RUNS_P99 = 459  # the largest of so many lies above the true p99 with 99 %: 0.99 ** 459 < 0.01


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the interval that holds the truth with the stated confidence.

    `high` is infinite where nothing sets an upper end.
    """

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """How far the value may be off, to the worse side."""
        return max(self.value - self.low, self.high - self.value)

    def scaled(self, factor: float) -> Interval:
        """The same in another unit."""
        return Interval(self.value * factor, self.low * factor, self.high * factor)


def quantile(values: NDArray[Any], p: float) -> float:
    """The smallest value that at least the share `p` does not exceed: always one of them."""
    return float(np.quantile(values, p, method="inverted_cdf"))


def quantile_interval(
    blocks: Sequence[Block], p: float, *, confidence: float = CONFIDENCE
) -> Interval:
    """The quantile `p` of all samples, by Woodruff's interval for clustered samples.

    The share of samples up to the quantile is a mean over blocks, whose error is known; the
    quantiles at both ends of that share's interval are the interval (Woodruff 1952, "Confidence
    intervals for medians and other position measures"); its lower end is found on the scale of
    arcsines, on which shares near 1 spread evenly. It ends at the smallest and the largest sample,
    but that of a tail is open where it would reach beyond all samples. A steady change over the
    blocks is no doubt about the quantile of all of them, so it is taken off first. Needs MIN_BLOCKS
    blocks.
    """
    everything = np.sort(np.concatenate(blocks))
    value = quantile(everything, p)
    reach = student_t(confidence, len(blocks) - 2) * _share_error(blocks, value, p)
    last = everything.size - 1
    low = max(0, math.ceil(_share_below(p, reach) * everything.size) - 1)
    high = math.ceil((p + reach) * everything.size)
    is_open = high > last and p >= _TAIL
    upper = math.inf if is_open else float(everything[min(last, high)])
    return Interval(value, float(everything[low]), upper)


def _share_below(share: float, reach: float) -> float:
    """The lower end of a share's interval, whose half width is `reach` at the share itself."""
    angle = math.asin(math.sqrt(share)) - reach / (2 * math.sqrt(share * (1 - share)))
    return math.sin(max(0.0, angle)) ** 2


def quantile_intervals(blocks: Sequence[Block], shares: Sequence[float]) -> tuple[Interval, ...]:
    """The quantiles of some ascending shares, with ends that ascend like them.

    Alone, a p90 can reach higher than the p99: its share of samples may be known less well. But if
    the p90 may lie at x, so may whatever lies above it. So an end that a neighbour contradicts is
    moved outwards; inwards it would hold the truth less often than it says.
    """
    found = [quantile_interval(blocks, share) for share in shares]
    highs = np.maximum.accumulate([each.high for each in found])
    lows = np.minimum.accumulate([each.low for each in found[::-1]])[::-1]
    return tuple(
        Interval(each.value, float(low), float(high))
        for each, low, high in zip(found, lows, highs, strict=True)
    )


def _share_error(blocks: Sequence[Block], value: float, p: float) -> float:
    """The standard error of the share of samples up to `value`, from how blocks differ."""
    sizes = np.array([block.size for block in blocks], dtype=np.float64)
    shares = np.array([np.mean(block <= value) for block in blocks])
    weights = sizes / sizes.sum()
    order = np.arange(sizes.size) - (sizes.size - 1) / 2
    apart = shares - weights @ shares
    apart -= order * (order @ apart) / (order @ order)
    spread = float(np.sum((weights * apart) ** 2))
    if spread > _NOTHING:
        return math.sqrt(spread * sizes.size / (sizes.size - 2))
    return math.sqrt(p * (1 - p) / sizes.sum())  # blocks that all agree: as if drawn one by one


def ratio_interval(
    numerator: Sequence[Block], denominator: Sequence[Block], *, confidence: float = CONFIDENCE
) -> Interval:
    """How many times larger the medians of one file are than another's, block by block.

    Blocks are paired: what slows a whole block down slows both files and leaves the ratio alone.
    Value and interval are those of the signed ranks of the ratios' logarithms. Needs MIN_BLOCKS
    pairs.
    """
    logs = [
        math.log(quantile(above, 0.5) / quantile(below, 0.5))
        for above, below in zip(numerator, denominator, strict=True)
    ]
    return _exponential(rank_interval(logs, confidence=confidence))


def unpaired_ratio_interval(
    numerator: Sequence[Block], denominator: Sequence[Block], *, confidence: float = CONFIDENCE
) -> Interval:
    """The same of blocks that were not measured together: they share no slow minute.

    Welch's interval (1947) for the difference of the means of log block medians. Needs MIN_BLOCKS
    blocks of each.
    """
    above, below = (
        np.log([quantile(block, 0.5) for block in blocks]) for blocks in (numerator, denominator)
    )
    variances = tuple(float(logs.var(ddof=1)) / logs.size for logs in (above, below))
    mean = float(above.mean() - below.mean())
    if not sum(variances):
        return Interval(math.exp(mean), math.exp(mean), math.exp(mean))
    pairs = zip(variances, (above.size, below.size), strict=True)
    free = sum(variances) ** 2 / sum(part**2 / (size - 1) for part, size in pairs)
    reach = student_t(confidence, int(free)) * math.sqrt(sum(variances))
    return Interval(math.exp(mean), math.exp(mean - reach), math.exp(mean + reach))


def geometric_interval(values: Sequence[float], *, confidence: float = CONFIDENCE) -> Interval:
    """The geometric mean of one value a block, with Student's interval for its logarithm."""
    return _exponential(student_interval(np.log(values).tolist(), confidence=confidence))


def _exponential(logs: Interval) -> Interval:
    return Interval(math.exp(logs.value), math.exp(logs.low), math.exp(logs.high))


def rank_interval(values: Sequence[float], *, confidence: float = CONFIDENCE) -> Interval:
    """The middle of one value a block, whatever symmetric distribution these have.

    Hodges & Lehmann (1963), "Estimates of location based on rank tests": the median of the means of
    all pairs, each value with itself, too, and the interval that Wilcoxon's signed-rank test does
    not reject. The ratios of a file with two modes have long tails, for which Student's is too
    wide. Where blocks are too few to say 99 % by ranks, or very many, it is Student's.
    Needs MIN_BLOCKS values.
    """
    sample = np.array(values, dtype=np.float64)
    if not _FEWEST_RANKS <= sample.size <= _MOST_RANKS:
        return student_interval(values, confidence=confidence)
    one, other = np.triu_indices(sample.size)
    means = np.sort((sample[one] + sample[other]) / 2)
    out = _ranks_left_out(sample.size, confidence)
    return Interval(float(np.median(means)), float(means[out - 1]), float(means[-out]))


@functools.cache
def _ranks_left_out(n: int, confidence: float) -> int:
    """How many sums of signed ranks 1..n are too small for the confidence: below each end."""
    chances = np.ones(1)  # of each sum, with a coin for every rank
    for rank in range(1, n + 1):
        without = np.zeros(rank)
        chances = (np.append(chances, without) + np.append(without, chances)) / 2
    return int(np.searchsorted(np.cumsum(chances), (1 - confidence) / 2, side="right"))


def student_interval(values: Sequence[float], *, confidence: float = CONFIDENCE) -> Interval:
    """The mean of one value a block, by Student's t; needs MIN_BLOCKS of them."""
    sample = np.array(values, dtype=np.float64)
    mean, error = float(sample.mean()), float(sample.std(ddof=1)) / math.sqrt(sample.size)
    reach = student_t(confidence, sample.size - 1) * error
    return Interval(mean, mean - reach, mean + reach)


def drift_interval(blocks: Sequence[Block], *, confidence: float = CLAIM_CONFIDENCE) -> Interval:
    """How many times slower the second half of the blocks was than the first.

    Student's interval for the difference of two means of log medians. Needs MIN_BLOCKS blocks.
    """
    logs = np.log([quantile(block, 0.5) for block in blocks])
    first, second = np.array_split(logs, 2)
    free = logs.size - 2
    pooled = (first.var() * first.size + second.var() * second.size) / free
    error = math.sqrt(pooled * (1 / first.size + 1 / second.size))
    mean, reach = float(second.mean() - first.mean()), student_t(confidence, free) * error
    return Interval(math.exp(mean), math.exp(mean - reach), math.exp(mean + reach))


def wilson_interval(successes: int, n: int, *, confidence: float = CONFIDENCE) -> Interval:
    """A share of `n` trials as 0..1 (Wilson 1927, "Probable inference"); `n` above zero."""
    z = _normal(confidence)
    share, room = successes / n, z * z / n
    center = (share + room / 2) / (1 + room)
    reach = z / (1 + room) * math.sqrt(share * (1 - share) / n + room / (4 * n))
    # At the ends the exact bound is the share itself: rounding must not cross it.
    return Interval(
        share, max(0.0, min(share, center - reach)), min(1.0, max(share, center + reach))
    )


def paired_drop_interval(
    right_to_wrong: int, wrong_to_right: int, n: int, *, confidence: float = CONFIDENCE
) -> Interval:
    """How much lower the second share is than the first on the same `n` trials, as -1..1.

    The adjusted Wald interval of Bonett & Price (2012), "Adjusted Wald confidence interval for a
    difference of binomial proportions based on paired data".
    """
    lost, won = (right_to_wrong + 1) / (n + 2), (wrong_to_right + 1) / (n + 2)
    reach = _normal(confidence) * math.sqrt((lost + won - (lost - won) ** 2) / (n + 2))
    value, middle = (right_to_wrong - wrong_to_right) / n, lost - won
    return Interval(value, max(-1.0, middle - reach), min(1.0, middle + reach))


def mcnemar_p(right_to_wrong: int, wrong_to_right: int) -> float:
    """The exact two-sided p of McNemar's test: flips one way against flips the other.

    The binomial test of a fair coin (McNemar 1947); 1 where nothing flips.
    """
    flips, fewer = right_to_wrong + wrong_to_right, min(right_to_wrong, wrong_to_right)
    term = total = 1
    for k in range(fewer):
        term = term * (flips - k) // (k + 1)
        total += term
    return min(1.0, 2 * total / (1 << flips))


def student_t(confidence: float, degrees_of_freedom: int) -> float:
    """The two-sided quantile of Student's t, within 1 % from 3 degrees of freedom on.

    Abramowitz & Stegun 26.7.5.
    """
    z, v = _normal(confidence), degrees_of_freedom
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * v**4)
    )


def _normal(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)
