"""The ranges of activations as calibration learns them: one file that serves every target."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgecnn.errors import DataError
from edgecnn.graph.integers import UINT8, Integers
from edgecnn.graph.thresholds import METHODS, PREFERRED_METHOD, Range, symmetric_name

FORMAT = 2
MIXED = "mixed"
"""What is said to be the method where each tensor has its own."""


@dataclass(frozen=True, slots=True)
class Ranges:
    """What calibration learns, to be saved and used again for any target.

    `by_tensor` holds, for each activation that some target quantizes, (low, high) by method, and
    by `symmetric_name` of the method where zero point 0 wants another; `minmax`, all that was seen,
    stands in for methods that are missing. `method` is the one that was chosen, or `MIXED`, and
    then `chosen` has it by tensor; the two sha256 say which images and which graph they belong to.
    """

    by_tensor: Mapping[str, Mapping[str, Range]]
    method: str
    calibration_sha256: str
    model_sha256: str
    chosen: Mapping[str, str] = field(default_factory=dict)

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods whose ranges are here."""
        found = {name for ranges in self.by_tensor.values() for name in ranges}
        return tuple(name for name in METHODS if name in found)

    def method_of(self, tensor: str) -> str:
        """The method that was chosen for a tensor."""
        if self.method != MIXED:
            return self.method
        return self.chosen.get(tensor, PREFERRED_METHOD)

    def range_of(self, tensor: str, integers: Integers = UINT8) -> Range:
        """What the chosen method keeps of a tensor for such integers."""
        found, method = self.by_tensor[tensor], self.method_of(tensor)
        names = [method, "minmax"]
        if integers.symmetric:
            names.insert(0, symmetric_name(method))
        return next(found[name] for name in names if name in found)

    def to_json(self) -> str:
        """One JSON document with a line for each tensor, the same bytes for the same ranges."""
        head: dict[str, Any] = {
            "format": FORMAT,
            "method": self.method,
            "calibration_sha256": self.calibration_sha256,
            "model_sha256": self.model_sha256,
        }
        rows = (
            f" {json.dumps(name)}: {json.dumps(found, allow_nan=False)}"
            for name, found in self.by_tensor.items()
        )
        if self.method == MIXED:
            head["chosen"] = dict(self.chosen)
        lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
        lines.append('"by_tensor": {\n' + ",\n".join(rows) + "\n}")
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def from_json(cls, text: str, *, source: str = "ranges") -> Ranges:
        """Read what `to_json` wrote; raises DataError, which names `source`."""
        try:
            document = json.loads(text)
            _check_format(document["format"], source)
            return cls(
                by_tensor={str(k): _by_method(v) for k, v in document["by_tensor"].items()},
                method=str(document["method"]),
                calibration_sha256=str(document["calibration_sha256"]),
                model_sha256=str(document["model_sha256"]),
                chosen=_methods(document.get("chosen", {})),
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            reason = " ".join(str(error).split())[:80]
            raise DataError(
                f"{source}: not a ranges file ({reason})", hint="calibrate again without it"
            ) from error

    def check(self, tensors: Iterable[str], model_sha256: str) -> None:
        """Raise DataError where these are the ranges of another graph."""
        missing = next((name for name in tensors if name not in self.by_tensor), None)
        if missing is None and model_sha256 == self.model_sha256:
            return
        if model_sha256 == self.model_sha256:
            raise DataError(
                f"the ranges were learnt with other layers in float: none for {missing!r}",
                hint="calibrate again, without --ranges",
            )
        reason = f"there is none for {missing!r}" if missing else "its weights or nodes differ"
        raise DataError(
            f"the ranges belong to another model: {reason}", hint="calibrate this one itself"
        )

    def check_method(self, method: str) -> None:
        """Raise DataError where a method's ranges are not among these; `auto` takes any."""
        chosen = (MIXED,) if self.chosen else ()
        if method not in ("auto", *self.methods, *chosen):
            known = ", ".join(self.methods)
            raise DataError(
                f"the ranges hold {known}, and none by {method!r}",
                hint="calibrate again with --method auto, which learns all of them",
            )


def _check_format(found: object, source: str) -> None:
    if found == 1:
        raise DataError(
            f"{source}: ranges of format 1 hold one target and one method",
            hint="calibrate again without it: the new file serves every target",
        )
    if found != FORMAT:
        raise ValueError(f"format {found!r}, this edgecnn reads {FORMAT}")


def _by_method(value: Mapping[str, Sequence[float]]) -> dict[str, Range]:
    found = {str(name): _pair(pair) for name, pair in value.items()}
    if "minmax" not in found:
        raise ValueError("a tensor without 'minmax'")
    return found


def _methods(value: Mapping[str, str]) -> dict[str, str]:
    unknown = next((name for name in value.values() if name not in METHODS), None)
    if unknown is not None:
        raise ValueError(f"no method is called {unknown!r}")
    return dict(value)


def _pair(value: Sequence[float]) -> Range:
    low, high = (float(end) for end in value)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"{value} is no range")
    return low, high
