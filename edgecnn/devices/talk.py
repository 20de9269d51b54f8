"""Talking with the agent on a device: its lines are told apart, bounded and understood."""

from __future__ import annotations

import errno
import json
import secrets
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecnn.devices import agent
from edgecnn.devices.transport import Transport
from edgecnn.devices.untrusted import parse_json
from edgecnn.errors import DeviceError

_MAX_NOISE_LINES = 200  # of a login shell that greets everybody
_MAX_LINE = 1 << 16
_NO_PYTHON = 127
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OWN_PYTHON = ".edgecnn/bin/python3"


class Talk:
    """One run of the agent on a device: `serve`, or `run` with an archive and a verb."""

    def __init__(
        self, transport: Transport, verb: str, *arguments: str, python: str | None = None
    ) -> None:
        self._transport = transport
        self._nonce = secrets.token_hex(8)
        words = (verb, self._nonce, *arguments)
        self.process = transport.start(agent_command(words, python=python))

    def hear(self, *, timeout_s: float) -> Mapping[str, Any]:
        """What the agent says next; raises DeviceError for its errors, garbage, and silence."""
        sign = f"edgecnn {self._nonce} "
        deadline_s = time.monotonic() + timeout_s
        for _ in range(_MAX_NOISE_LINES):
            line = self.process.read_line(timeout_s=deadline_s - time.monotonic())
            if line.startswith(sign):
                return self._understood(line.removeprefix(sign))
            if not line and self.process.is_silent:
                raise self.ended()
        raise self._garbage("a login shell that prints without end")

    def ask(self, request: Mapping[str, Any], *, timeout_s: float) -> Mapping[str, Any]:
        """Send a request and hear the answer."""
        self.process.write_line(json.dumps(request))
        return self.hear(timeout_s=timeout_s)

    def ended(self) -> DeviceError:
        """Why there is no more to hear."""
        name = self._transport.name
        if self.process.exit_code() == _NO_PYTHON:
            return DeviceError(
                f"{name}: there is no Python 3 there ({self.process.last_words()[:200]})",
                hint="on the device: sudo apt install python3-venv",
            )
        return DeviceError(
            f"{name}: the agent there ended: {self.process.last_words()[:200]}",
            hint=f"edgecnn devices check {name}   looks at it more closely",
        )

    def _understood(self, text: str) -> Mapping[str, Any]:
        try:
            said = parse_json(text, most_chars=_MAX_LINE)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise self._garbage(repr(text[:80]))
        if "error" in said:
            raise self._their_error(said["error"])
        return said

    def _their_error(self, said: object) -> DeviceError:
        fields = said if isinstance(said, dict) else {}
        message, name = str(fields.get("message"))[:200], self._transport.name
        if fields.get("errno") in _FULL:
            return DeviceError(
                f"{name}: its disk is full ({message})",
                hint="make room there; what edgecnn keeps lies in ~/.cache/edgecnn",
            )
        return DeviceError(
            f"{name}: cannot keep files ({message})",
            hint="on the device, check ~/.cache/edgecnn: its owner, and that it is writable",
        )

    def _garbage(self, what: str) -> DeviceError:
        return DeviceError(
            f"{self._transport.name}: answered what nobody can read: {what}",
            hint="what runs there as python3, and what does its login shell print?",
        )


def agent_command(words: Sequence[str], *, python: str | None) -> str:
    """The shell command that runs the agent: the named Python, edgecnn's own, or the system's."""
    if python is None:
        find = f'p=$HOME/{_OWN_PYTHON}; [ -x "$p" ] || p=python3'
    elif python.startswith("~/"):
        find = f'p="$HOME"/{shlex.quote(python[2:])}'
    else:
        find = f"p={shlex.quote(python)}"
    source = Path(agent.__file__).read_text(encoding="utf-8")
    script = f'{find}; exec "$p" -c "$0" "$@"'
    return shlex.join(("exec", "/bin/sh", "-c", script, source, *words))
