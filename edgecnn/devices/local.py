"""The own machine as a device: child processes of this interpreter, files where they are."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import edgecnn
from edgecnn.devices.process import Process
from edgecnn.errors import DeviceError


class LocalDevice:
    """The machine that this process runs on."""

    @property
    def name(self) -> str:
        """`local`."""
        return "local"

    def run(self, verb: Sequence[str], *, timeout_s: float) -> str:
        """Run a verb of `edgecnn.runtime` and return what it printed; raises DeviceError."""
        deadline_s = time.monotonic() + timeout_s
        process, lines, whole = self.start(verb), [], False
        try:
            while line := process.read_line(timeout_s=deadline_s - time.monotonic()):
                lines.append(line)
            said = process.last_words()
            whole = True
        finally:
            code = process.close(patiently=whole)
        if code != 0:
            raise DeviceError(f"{verb[0]}: {said}", hint="run it again with --debug")
        return "\n".join(lines)

    def start(self, verb: Sequence[str]) -> Process:
        """Start a verb of `edgecnn.runtime` to talk to; raises DeviceError."""
        return Process((sys.executable, "-m", "edgecnn.runtime", *verb), env=_environment())

    def push(self, local: Path) -> str:
        """The file is already here."""
        return str(local.resolve())

    def pull(self, remote: str, local: Path) -> None:
        """Copy a file; raises DeviceError."""
        try:
            shutil.copyfile(remote, local)
        except OSError as error:
            raise DeviceError(f"{remote}: {error.strerror}", hint="check path and space") from error


def _environment() -> dict[str, str]:
    """The child finds this very package, and takes no module from the folder it is started in."""
    home = str(Path(edgecnn.__path__[0]).parent)
    rest = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([home, rest] if rest else [home])
    return {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
