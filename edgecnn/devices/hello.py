"""What a device says of itself before anything runs there, checked: it is not to be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgecnn.errors import DeviceError
from edgecnn.runtime.board import Board, identify

_MAX_TEXT = 4096
_MAX_WORD = 256
_MAX_ITEMS = 32


@dataclass(frozen=True, slots=True)
class Hello:
    """A device's board, system, Python and packages.

    `packages` has None for what is not there and '' for what does not say its version; `pythons`
    are interpreters by name, `folder` is where files are kept, with `free_bytes` left.
    """

    board: Board
    python: tuple[int, int, int]
    executable: str
    system: str
    packages: Mapping[str, str | None]
    pythons: tuple[str, ...]
    folder: str
    free_bytes: int


def parse_hello(name: str, said: Mapping[str, Any]) -> Hello:
    """Read what the agent of the device `name` said; raises DeviceError where it cannot be so."""
    try:
        return _hello(said)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DeviceError(
            f"{name}: says of itself what cannot be ({str(error)[:80]!r})",
            hint="what runs there as python3?",
        ) from error


def _hello(said: Mapping[str, Any]) -> Hello:
    major, minor, micro = (_whole(part, most=999) for part in said["python"])
    packages = list(said["packages"].items())[:_MAX_ITEMS]
    return Hello(
        board=identify(
            model=_text(said["model"], _MAX_WORD),
            compatible=_text(said["compatible"], _MAX_TEXT),
            tegra_release=_text(said["tegra_release"], _MAX_TEXT),
            machine=_text(said["machine"], _MAX_WORD),
        ),
        python=(major, minor, micro),
        executable=_text(said["executable"], _MAX_TEXT),
        system=_system(_text(said["os_release"], _MAX_TEXT)),
        packages={
            _text(key, _MAX_WORD): None if value is None else _text(value, _MAX_WORD)
            for key, value in packages
        },
        pythons=tuple(_text(each, _MAX_WORD) for each in said["pythons"][:_MAX_ITEMS]),
        folder=_text(said["folder"], _MAX_TEXT),
        free_bytes=_whole(said["free_bytes"], most=1 << 60),
    )


def _text(value: object, most: int) -> str:
    """A string of a device, without what could steer a terminal, cut where it is too long."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return "".join(char if char.isprintable() or char == "\n" else " " for char in value[:most])


def _whole(value: object, *, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{value!r:.40} is no count")
    return value


def _system(os_release: str) -> str:
    """`PRETTY_NAME` of /etc/os-release."""
    for line in os_release.splitlines():
        key, _, value = line.partition("=")
        if key == "PRETTY_NAME":
            return value.strip("\"'")
    return ""
