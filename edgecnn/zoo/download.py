"""Fetching one file over HTTP: resumed where it was cut, checked, and there only when whole."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path

from edgecnn.errors import FileError, WeightsError

Progress = Callable[[int, int], None]

_CHUNK_BYTES = 1 << 18
_TIMEOUT_S = 30.0
_ATTEMPTS = 3
_MAX_BYTES = 8 << 30
_NETWORK_ERRORS = (OSError, http.client.HTTPException)


def download(
    url: str, target: Path, *, sha256_prefix: str, progress: Progress | None = None
) -> None:
    """Bring the file at `url` to `target`, unless it is there.

    What arrives lies in `target`.part until its sha256 begins with `sha256_prefix`; a download
    that breaks off goes on from there next time. Processes that start together download once.
    `progress` is called with bytes done and bytes in all (0 where the server does not say).

    Raises WeightsError (no network, not found, another file than promised) and FileError (no
    space, no permission).
    """
    job = _Job(url, target, progress or _ignore)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.with_name(f"{target.name}.part")) as part:
            if not target.exists():
                _obtain(job, part, sha256_prefix)
                os.fsync(part.fileno())
                Path(part.name).replace(target)
    except OSError as error:
        raise FileError(
            f"{target}: cannot be written ({error.strerror or error})",
            hint="free space, or name another place in EDGECNN_CACHE",
        ) from error


@dataclass(frozen=True, slots=True)
class _Job:
    url: str
    target: Path
    progress: Progress

    def error(self, reason: str) -> WeightsError:
        return WeightsError(
            f"{self.url}: {reason}",
            hint=f"download it elsewhere and put it at {self.target}, or use --weights random",
        )


class _NetworkError(Exception):
    """The network failed, as opposed to the disk."""


def _ignore(_done: int, _total: int) -> None:
    """Nobody watches."""


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[BufferedRandom]:
    """The partial file, open for appending and ours alone; an empty one is removed at the end."""
    while True:
        with path.open("a+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)  # given back when the file closes, also by a crash
            if not _is_at(stream, path):
                continue  # whoever held it has moved it to its final place
            try:
                yield stream
            finally:
                if _is_at(stream, path) and os.fstat(stream.fileno()).st_size == 0:
                    path.unlink()
            return


def _is_at(stream: BufferedRandom, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _obtain(job: _Job, part: BufferedRandom, sha256_prefix: str) -> None:
    """Fill the partial file, from its end and, if that gives the wrong file, from its start."""
    if _size(part):
        _fill(job, part)
        if _sha256(part).startswith(sha256_prefix):
            return
        part.truncate(0)
    _fill(job, part)
    found = _sha256(part)
    if not found.startswith(sha256_prefix):
        part.truncate(0)
        raise job.error(f"sends another file: sha256 {found[:8]}, not {sha256_prefix}")


def _fill(job: _Job, part: BufferedRandom) -> None:
    """Fetch until the file is whole; a cut connection is taken up again while it still gives."""
    attempts = 0
    while attempts < _ATTEMPTS:
        before = _size(part)
        try:
            if _fetch(job, part):
                return
        except _NetworkError as error:
            if _size(part) == before:
                raise job.error(f"cannot be reached ({error})") from error
        attempts = 0 if _size(part) > before else attempts + 1
    raise job.error(f"the connection broke off after {_size(part) / 1e6:.1f} MB")


def _fetch(job: _Job, part: BufferedRandom) -> bool:
    """One request for what is missing; whether the file is whole now."""
    have = _size(part)
    headers = {"User-Agent": "edgecnn", **({"Range": f"bytes={have}-"} if have else {})}
    request = urllib.request.Request(job.url, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if have and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return True  # either whole already or of another file: its sha256 will tell
        raise job.error(f"the server answers {error.code} {error.reason}") from error
    except _NETWORK_ERRORS as error:
        raise _NetworkError(_reason(error)) from error
    with response:
        total = _begin(response, part)
        if total > _MAX_BYTES:
            raise job.error(f"{total / 1e9:.0f} GB are no checkpoint's size")
        return _copy(job, response, part, total)


def _begin(response: http.client.HTTPResponse, part: BufferedRandom) -> int:
    """Keep the partial file only where the server goes on from its end; the size in all or 0."""
    length = response.length or 0
    resumed = re.fullmatch(r"bytes (\d+)-\d+/\S+", response.headers.get("Content-Range") or "")
    have = _size(part)
    if response.status == http.client.PARTIAL_CONTENT and resumed and int(resumed[1]) == have:
        return have + length
    part.truncate(0)
    return length


def _copy(job: _Job, response: http.client.HTTPResponse, part: BufferedRandom, total: int) -> bool:
    done = _size(part)
    job.progress(done, total)
    while chunk := _read(response):
        part.write(chunk)
        done += len(chunk)
        if done > _MAX_BYTES:
            raise job.error("sends without end")
        job.progress(done, total)
    return done >= total


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK_BYTES)
    except _NETWORK_ERRORS as error:
        raise _NetworkError(_reason(error)) from error


def _sha256(part: BufferedRandom) -> str:
    part.seek(0)
    return hashlib.file_digest(part, "sha256").hexdigest()


def _size(part: BufferedRandom) -> int:
    part.flush()
    return os.fstat(part.fileno()).st_size


def _reason(error: BaseException) -> str:
    reason = getattr(error, "reason", error)
    text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return " ".join(str(text).split())[:80]
