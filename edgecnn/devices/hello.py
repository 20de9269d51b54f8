"""What a device says of itself before anything runs there, checked: it is not to be trusted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgecnn.devices.untrusted import one_word
from edgecnn.errors import DeviceError
from edgecnn.runtime.board import Board, identify

_MAX_TEXT = 4096
_MAX_WORD = 256
_MAX_ITEMS = 32
_PYTHON = re.compile(r"python3\.[0-9]{1,2}")


@dataclass(frozen=True, slots=True)
class Hello:
    """A device's board, system, Python and packages, and the process that said so.

    `packages` has None for what is not there and '' for what does not say its version; `pythons`
    are interpreters by name, `has_venv` tells whether its Python makes environments; `folder` is
    where files are kept, with `free_bytes` left.
    """

    pid: int
    board: Board
    python: tuple[int, int, int]
    executable: str
    system: str
    packages: Mapping[str, str | None]
    pythons: tuple[str, ...]
    has_venv: bool
    folder: str
    free_bytes: int


def parse_hello(name: str, said: Mapping[str, Any]) -> Hello:
    """Read what the agent of the device `name` said; raises DeviceError where it cannot be so."""
    try:
        return _hello(said)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DeviceError(
            f"{name}: says of itself what cannot be ({str(error)[:80]!r})",
            hint="what runs there as python3?",
        ) from error


def _hello(said: Mapping[str, Any]) -> Hello:
    major, minor, micro = (_whole(part, most=999) for part in said["python"])
    packages = list(said["packages"].items())[:_MAX_ITEMS]
    return Hello(
        pid=_whole(said["pid"], most=1 << 31),
        board=identify(
            model=_word(said["model"]),
            compatible=_word(said["compatible"], most_chars=_MAX_TEXT),
            tegra_release=_text(said["tegra_release"]),
            machine=_word(said["machine"]),
        ),
        python=(major, minor, micro),
        executable=_word(said["executable"], most_chars=_MAX_TEXT),
        system=_system(_text(said["os_release"])),
        packages={_word(key): None if value is None else _word(value) for key, value in packages},
        # They become part of commands that people type.
        pythons=tuple(
            each for each in map(_word, said["pythons"][:_MAX_ITEMS]) if _PYTHON.fullmatch(each)
        ),
        has_venv=said["venv"] is True,
        folder=_word(said["folder"], most_chars=_MAX_TEXT),
        free_bytes=_whole(said["free_bytes"], most=1 << 60),
    )


def _text(value: object) -> str:
    """Lines of a device, without what could steer a terminal."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    lines = value[:_MAX_TEXT].split("\n")
    return "\n".join(one_word(line, most_chars=_MAX_TEXT) for line in lines)


def _word(value: object, *, most_chars: int = _MAX_WORD) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return one_word(value, most_chars=most_chars)


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
