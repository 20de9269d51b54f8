"""A Dask worker's end of a fleet: files by their content, and jobs that give JSON.

Dask calls these functions by name: a worker has edgecnn of the same version. Files lie where those
of a device behind ssh lie, under their sha256.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import edgecnn
from edgecnn.devices.agent import sweep
from edgecnn.errors import DeviceError, EdgecnnError
from edgecnn.files import sha256_of
from edgecnn.runtime.cache import cache_dir
from edgecnn.runtime.visits import error_reply

Run = Callable[[Mapping[str, Any], Mapping[str, Path]], Mapping[str, Any]]


def bytes_here(sha256: str) -> int:
    """How many bytes of a file are here already, whole or in part."""
    folder = _folder()
    sweep(str(folder))
    for path in (folder / sha256, _part(sha256)):
        if path.is_file():
            path.touch()
            return path.stat().st_size
    return 0


def take(sha256: str, size: int, offset: int, chunk: bytes) -> int | str:
    """Add a chunk to a file and tell how much of it is here; in words what went wrong.

    The file appears whole and right: what turns out to be damaged counts as nothing.
    """
    try:
        if (_folder() / sha256).is_file():
            return size
        with _part(sha256).open("ab") as part:
            fcntl.flock(part, fcntl.LOCK_EX)  # another worker of this machine may take it, too
            if part.tell() == offset:
                part.write(chunk)
                part.flush()
            here = part.tell()
        return here if here < size else _finished(sha256, size)
    except OSError as error:
        return error.strerror or str(error)


def worked(run: Run, text: str) -> str:
    """Do a job: `{"version", "alone", "arguments", "files": {name: sha256}}` in, JSON out.

    A job that is to be `alone` waits until no other of this machine runs, and keeps them waiting.
    """
    job = json.loads(text)
    try:
        if job["version"] != edgecnn.__version__:
            raise DeviceError(
                f"it has edgecnn {edgecnn.__version__}, and {job['version']} is what asks",
                hint=f"on the workers: pip install 'edgecnn[fleet,ort]=={job['version']}'",
            )
        files = {name: _folder() / sha256 for name, sha256 in job["files"].items()}
        with _turn(alone=job["alone"]):
            return json.dumps({"result": run(job["arguments"], files)}, allow_nan=False)
    except EdgecnnError as error:
        return json.dumps(error_reply(error))


def _folder() -> Path:
    folder = cache_dir() / "remote"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _part(sha256: str) -> Path:
    return _folder() / f"{sha256}.part"


def _finished(sha256: str, size: int) -> int:
    part = _part(sha256)
    if sha256_of(part) != sha256:
        part.unlink()
        return 0
    part.replace(_folder() / sha256)
    return size


@contextmanager
def _turn(*, alone: bool) -> Iterator[None]:
    with (_folder().parent / "fleet.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
