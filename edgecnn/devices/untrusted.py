"""What others say, taken with care: JSON that is bounded and finite, text that steers nothing."""

from __future__ import annotations

import json
import math
from typing import Any

_MOST_DIGITS = 19  # of 64 bits; thousands of them would be no float, and slow to read


def parse_json(text: str, *, most_chars: int) -> Any:
    """JSON whose numbers are finite and of 64 bits or so; ValueError for all else, and too much."""
    if len(text) > most_chars:
        raise ValueError(f"more than {most_chars:,} characters")
    try:
        return json.loads(text, parse_constant=_float, parse_float=_float, parse_int=_int)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def one_word(text: str, *, most_chars: int) -> str:
    """A text on one line, cut, without what could steer a terminal."""
    return "".join(char if char.isprintable() else " " for char in text[:most_chars])


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number")
    return value


def _int(text: str) -> int:
    if len(text.removeprefix("-")) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)
