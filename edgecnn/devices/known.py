"""The user's devices by name: `devices.toml`, a table a device.

[jetson]
url = "ssh://user@192.168.1.20"
python = "~/venv/bin/python"    # where not ~/.edgecnn/bin/python3, nor python3
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecnn.devices.address import Address, parse_address
from edgecnn.errors import FileError, UsageError
from edgecnn.files import read_error, write_error, write_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = None

RESERVED = ("local",)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_KEYS = frozenset({"url", "python"})
_TABLE = re.compile(r"\s*\[([^\[\]]+)\]\s*(#.*)?")


@dataclass(frozen=True, slots=True)
class Known:
    """A device that the user has named; `python` is the interpreter there, None the usual one."""

    name: str
    address: Address
    python: str | None = None


def devices_file() -> Path:
    """`EDGECNN_DEVICES`, else `edgecnn/devices.toml` in the user's configuration folder (XDG)."""
    if own := os.environ.get("EDGECNN_DEVICES"):
        return Path(own)
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "edgecnn" / "devices.toml"


def known_devices() -> tuple[Known, ...]:
    """All of them as the file has them; none without a file. Raises FileError, UsageError."""
    path = devices_file()
    return tuple(_known(path, name, table) for name, table in _tables(path).items())


def add_device(device: Known) -> None:
    """Write a new device into the file; raises UsageError for a name that is taken or unfit."""
    if not _NAME.fullmatch(device.name) or device.name in RESERVED:
        raise UsageError(
            f"{device.name!r} cannot be the name of a device",
            hint="letters, digits, - and _, for example jetson or pi-5",
        )
    if any(other.name == device.name for other in known_devices()):
        raise UsageError(
            f"there is a device named {device.name} already",
            hint=f"edgecnn devices remove {device.name}   first, or choose another name",
        )
    python = f"python = {json.dumps(device.python)}\n" if device.python else ""
    table = f'[{device.name}]\nurl = "{device.address}"\n{python}'
    before = _read(devices_file())
    _write("\n".join(filter(None, (before.rstrip("\n") + "\n" if before else "", table))))


def remove_device(name: str) -> None:
    """Take a device out of the file; the rest of it stays. Raises UsageError without such one."""
    if all(device.name != name for device in known_devices()):
        raise UsageError(f"there is no device named {name!r}", hint="edgecnn devices list")
    kept, inside = [], False
    for line in _read(devices_file()).splitlines(keepends=True):
        if found := _TABLE.fullmatch(line):
            inside = found[1].strip().strip("\"'") == name
        if not inside:
            kept.append(line)
    _write("".join(kept))


def _tables(path: Path) -> Mapping[str, Any]:
    text = _read(path)
    if not text:
        return {}
    if tomllib is None:
        raise UsageError(f"{path}: needs Python 3.11 to be read", hint="name it as ssh://user@host")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FileError(f"{path}: not TOML ({error})", hint="mend or delete the file") from error


def _known(path: Path, name: str, table: object) -> Known:
    fields = table if isinstance(table, dict) else {}
    if not isinstance(fields.get("url"), str) or not isinstance(fields.get("python", ""), str):
        raise FileError(
            f"{path}: [{name}] has no url", hint='url = "ssh://user@host" below the name'
        )
    if unknown := sorted(set(fields) - _KEYS):
        raise FileError(
            f"{path}: [{name}] says {unknown[0]!r}, which nothing understands",
            hint=f"known are {', '.join(sorted(_KEYS))}",
        )
    try:
        return Known(name, parse_address(fields["url"]), fields.get("python"))
    except UsageError as error:
        raise FileError(f"{path}: [{name}]: {error}", hint=error.hint) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise read_error(path, error) from error
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: not a text file", hint="mend or delete the file") from error


def _write(text: str) -> None:
    path = devices_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(path, error) from error
    write_text(path, text)
    with contextlib.suppress(OSError):
        path.chmod(0o600)
