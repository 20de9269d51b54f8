"""Talking with a verb of the runtime on a device: JSON lines, bounded, checked and understood."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import edgecnn.errors
from edgecnn.devices.device import Device
from edgecnn.devices.process import MAX_LINE_BYTES, Process
from edgecnn.devices.untrusted import one_word, parse_json
from edgecnn.errors import DeviceError, EdgecnnError, EngineError

START_TIMEOUT_S = 1800.0  # an engine may have to be built first, and a board may be slow
_MAX_TEXT = 1000
_HASHED = re.compile(r"[^\s'\"]*/([0-9a-f]{64})\b")

_Parsed = TypeVar("_Parsed")


class Conversation:
    """A verb that runs on a device and answers requests; `file` is what errors are about."""

    def __init__(self, device: Device, verb: Sequence[str], *, file: str) -> None:
        self._file = file
        self._process: Process = device.start(verb)

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    def ask(self, request: Mapping[str, Any]) -> None:
        """Send a request; what has become of it shows in the answer."""
        self._process.write_line(json.dumps(request))

    def hear(self, parse: Callable[[Mapping[str, Any]], _Parsed], *, timeout_s: float) -> _Parsed:
        """The next answer, parsed; `parse` raises KeyError, TypeError and the like for garbage.

        Raises the device's own EdgecnnError, EngineError where the verb died, DeviceError for
        garbage, silence, or a lost device.
        """
        answer = self._answer(timeout_s)
        try:
            return parse(answer)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise garbage(self._file, repr(error)) from error

    def close(self, *, patiently: bool = True) -> None:
        """End the process."""
        self._process.close(patiently=patiently)

    def __enter__(self) -> Conversation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close(patiently=kind is None)

    def _answer(self, timeout_s: float) -> dict[str, Any]:
        line = self._process.read_line(timeout_s=timeout_s)
        if not line:
            raise EngineError(
                f"{self._file}: the process that ran it died: {self._process.last_words()}",
                hint="is there memory enough? fewer files or a smaller batch may help",
            )
        try:
            answer = parse_json(line, most_chars=MAX_LINE_BYTES)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise garbage(self._file, repr(line[:80]))
        if "error" in answer:
            raise their_error(answer["error"], self._file)
        return answer


def garbage(file: str, what: str) -> DeviceError:
    """An answer that cannot be one."""
    return DeviceError(
        f"{file}: the device answered what nobody can read: {what[:120]}",
        hint="is the edgecnn there of the same version?",
    )


def their_error(said: object, file: str, *, sent: Mapping[str, Path] | None = None) -> EdgecnnError:
    """An error that a device told, as our own if it is one that we know.

    There, files have hashes for names: those in `sent` get their paths here, others are `file`.
    """
    fields = said if isinstance(said, dict) else {}
    kind = getattr(edgecnn.errors, str(fields.get("type")), EngineError)
    known = isinstance(kind, type) and issubclass(kind, EdgecnnError)
    message, hint = (
        _HASHED.sub(
            lambda found: str((sent or {}).get(found[1], file)),
            one_word(text, most_chars=_MAX_TEXT),
        )
        for text in (
            str(fields.get("message", f"{file}: failed on the device")),
            str(fields.get("hint", "run it again with --debug")),
        )
    )
    error: EdgecnnError = (kind if known else EngineError)(message, hint=hint)
    return error
