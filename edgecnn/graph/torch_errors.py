"""The errors of PyTorch's exporters, sixty lines each, in one line of cause and one of advice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

from edgecnn.errors import GraphError

# What PyTorch says of an input, and what to do about it.
_HINTS = (
    (r"to have 1 channels?, but got 3", "it takes grey images: --color GRAY"),
    (r"to have 3 channels?, but got 1", "it takes coloured images: leave --color GRAY away"),
    (
        r"missing \d+ required positional argument|takes 1 positional argument",
        "wrap it in a module whose forward() takes the images alone",
    ),
    (r"same dtype|should be the same|expected scalar type", "it must compute in float32"),
)
_PLACE = re.compile(r'raised this error:\s+File "([^"]+)", line (\d+)')


def one_line(error: BaseException) -> str:
    """The first line of the error at the bottom of a chain, where the cause stands."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:160] if lines else type(error).__name__


def does_not_run(error: Exception, name: str, shape: tuple[int, ...]) -> GraphError:
    """The error for a network that fails on an input of that shape, in PyTorch itself."""
    cause = one_line(error)
    hints = (hint for pattern, hint in _HINTS if re.search(pattern, cause))
    return GraphError(
        f"{name} does not run on an input of {shape}: {cause}",
        hint=next(hints, "give the size that the network is built for"),
    )


def explained(error: Exception, name: str) -> GraphError:
    """An exporter's failure on the network `name` in our words."""
    text = "\n".join(str(link) for link in _chain(error))
    if "data-dependent" in text:
        place = _PLACE.search(text)
        return chooses_path(name, f" ({PurePath(place[1]).name}:{place[2]})" if place else "")
    if "onstraints violated" in text:
        return GraphError(
            f"{name} works for a fixed batch only: {one_line(error)}", hint="export with --batch 1"
        )
    return GraphError(
        f"{name} cannot be written as a graph: {one_line(error)}",
        hint="replace that operation in forward(), or try --opset 18",
    )


def chooses_path(name: str, place: str = "") -> GraphError:
    """The error for control flow that depends on data."""
    return GraphError(
        f"{name}: forward(){place} decides by the values of a tensor",
        hint="decide by a shape or by an argument of the constructor: a graph has one path",
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
