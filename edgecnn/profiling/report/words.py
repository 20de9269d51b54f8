"""Numbers as people read them: no more digits than are known."""

from __future__ import annotations

import html
import math

from edgecnn.profiling.records import Accuracy
from edgecnn.profiling.statistics import Interval

UNAVAILABLE = "unavailable: "
_MOST_DECIMALS = 4


def decimals(half_width: float) -> int:
    """How many decimals a value known to `half_width` deserves: one digit of the error."""
    if not 0 < half_width < math.inf:
        return 2
    return min(_MOST_DECIMALS, max(0, -math.floor(math.log10(half_width))))


def value_and_error(interval: Interval) -> str:
    """`4.40 ±0.04`."""
    digits = decimals(interval.half_width)
    return f"{interval.value:.{digits}f} ±{interval.half_width:.{digits}f}"


def like(value: float, interval: Interval) -> str:
    """A value with the decimals that another one's interval deserves."""
    return f"{value:.{decimals(interval.half_width)}f}"


def percent(accuracy: Accuracy) -> str:
    """`72.2 ±1.1`, in percent."""
    half = max(accuracy.value - accuracy.low, accuracy.high - accuracy.value)
    return f"{accuracy.value * 100:.1f} ±{half * 100:.1f}"


def drops(drop: Accuracy) -> str:
    """`drops by 0.1 points (-0.2 to 0.4)`; where it is a gain, `rises by 0.1 points (-0.4 to 0.2)`.

    The drop is a share; what is said is in percentage points.
    """
    low, value, high = (each * 100 for each in (drop.low, drop.value, drop.high))
    if round(value, 1) < 0:
        return f"rises by {-value:.1f} points ({-high:.1f} to {-low:.1f})"
    return f"drops by {abs(value):.1f} points ({low:.1f} to {high:.1f})"


def printable(text: str) -> str:
    """Strangers' words without what would steer a terminal or cannot be encoded."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def escaped(text: str) -> str:
    """Strangers' words for HTML, attributes included."""
    return html.escape(printable(text))


def fact(value: object) -> str | None:
    """A fact as text, or None where it is unavailable."""
    text = str(value)
    return None if value is None or text.startswith(UNAVAILABLE) else text
