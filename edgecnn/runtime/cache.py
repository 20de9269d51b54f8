"""The cache: engines built on this device, weights downloaded once, states of unfinished work.

Nothing in it is precious: every entry can be built or fetched again. An entry is a folder that
appears whole or not at all, so a killed build leaves nothing that could be mistaken for one.
Engines that nobody has used for a day make room where all of them take more than a limit.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgecnn.errors import FileError, UsageError
from edgecnn.files import read_error, sha256_of_key, write_text

_ABOUT = "about.json"
_ENGINES = "engines"
_HASHES = "hashes"
_PROOFS = "proofs"
_LIMIT, _LIMIT_GB = "EDGECNN_CACHE_LIMIT_GB", 4
_DAY_S = 86_400
_TOUCHED_S = 3600  # so often a use is noted: flash storage need not be written at every start
_SETTLED_NS = 2_000_000_000  # a file that is younger may change again under the same times
# Folder -> what a file in it is.
_FILES = {
    "weights": "weights",
    "timing": "timings of kernels",
    "unfinished": "unfinished work",
    "features": "features",
    "models": "model",
}

Facts = dict[str, str | None]
"""What `remembered` keeps of a file, by name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in the cache: what it is, how large, when it was last used (Unix time)."""

    path: Path
    kind: str
    about: str
    size_bytes: int
    used_s: float


def cache_dir() -> Path:
    """`EDGECNN_CACHE`, else `edgecnn` in the user's cache folder (XDG)."""
    if own := os.environ.get("EDGECNN_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "edgecnn"


def engine_entry(
    key: Mapping[str, str], build: Callable[[Path], None], *, about: str
) -> tuple[Path, bool]:
    """The folder of the engine with this key, and whether it had to be built.

    `about` says to people what it is. `build` is called with an empty folder to fill. Processes
    that start together build once. Other engines make room then, see `engines_limit_bytes`.
    Raises FileError where the cache cannot be written, UsageError for a limit that is none.
    """
    folder = cache_dir() / _ENGINES / _digest(key)
    if _is_ready(folder):
        return folder, False
    limit_bytes = engines_limit_bytes()
    try:
        with _lock(folder):
            if _is_ready(folder):
                return folder, False
            _build(folder, key, build, about)
    except OSError as error:
        raise _not_writable(folder.parent, error) from error
    _make_room(folder.parent, limit_bytes)
    return folder, True


def existing_entry(key: Mapping[str, str]) -> Path | None:
    """The folder of the engine with this key, or None where none was built."""
    folder = cache_dir() / _ENGINES / _digest(key)
    return folder if _is_ready(folder) else None


def engines_limit_bytes() -> int:
    """What all engines may take together: `EDGECNN_CACHE_LIMIT_GB`, else 4 GB; raises UsageError.

    Those that were used within the day stay in any case.
    """
    text = os.environ.get(_LIMIT) or str(_LIMIT_GB)
    with contextlib.suppress(ValueError, OverflowError):
        limit_bytes = int(float(text) * 1e9)
        if limit_bytes >= 0:
            return limit_bytes
    raise UsageError(f"{_LIMIT}={text!r} is no size in GB", hint=f"for example {_LIMIT}=10")


def timing_file(name: str) -> Path:
    """Where an engine's builder keeps what it has timed on this device; its folder is there.

    Raises FileError where the cache cannot be written.
    """
    plain = "".join(char if char.isalnum() or char in ".-" else "_" for char in name)
    folder = cache_dir() / "timing"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(folder, error) from error
    return folder / plain


def model_file(stem: str, key: Mapping[str, str]) -> Path:
    """Where a network that was exported with this key is kept; its folder is there.

    Raises FileError where the cache cannot be written.
    """
    folder = cache_dir() / "models"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(folder, error) from error
    return folder / f"{stem}-{_digest(key)[:8]}.onnx"


def remembered(
    path: Path, look: Callable[[], tuple[Facts, bool]], *, settled_ns: int = _SETTLED_NS
) -> Facts:
    """What is known of a file, from memory while its inode, size and times are what they were then.

    `look` finds it out, and says whether it is of this file alone; then it is remembered, unless
    the file has changed within `settled_ns`. To read hundreds of megabytes and to walk all nodes at
    each start would take as long as to load the engine. Raises FileError.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise read_error(path, error) from error
    stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    known = cache_dir() / _HASHES / _digest({"path": str(path.resolve()), "stamp": str(stamp)})
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        return dict(json.loads(known.read_text(encoding="utf-8"))["facts"])
    found, is_alone = look()
    if is_alone and time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > settled_ns:
        with contextlib.suppress(OSError, FileError):
            known.parent.mkdir(parents=True, exist_ok=True)
            write_text(known, json.dumps({"format": 1, "facts": found}))
    return found


def proof_file(key: Mapping[str, str]) -> Path:
    """Where it is noted that something with this key has been proven; nothing is made yet."""
    return cache_dir() / _PROOFS / _digest(key)


def unfinished_file(about: str, key: Mapping[str, str]) -> Path:
    """Where the state of work with this key is kept until it is done; nothing is made yet."""
    return cache_dir() / "unfinished" / f"{about}-{_digest(key)}.state"


def features_file(key: Mapping[str, str]) -> Path:
    """Where what a network makes of photos is kept for its next training; nothing is made yet."""
    return cache_dir() / "features" / f"{_digest(key)}.npz"


def discard(folder: Path) -> None:
    """Remove an entry that turned out to be damaged."""
    shutil.rmtree(folder, ignore_errors=True)


def entries() -> tuple[Entry, ...]:
    """Everything in the cache, the latest used first."""
    root = cache_dir()
    found = list(_engines(root / _ENGINES))
    for folder, kind in _FILES.items():
        files = sorted((root / folder).glob("*"))
        found += [_file(path, kind) for path in files if path.is_file()]
    return tuple(sorted(found, key=lambda entry: -entry.used_s))


def clear() -> int:
    """Empty the cache and return the bytes that it held; other files in its folder stay."""
    freed = sum(entry.size_bytes for entry in entries())
    for name in (_ENGINES, _HASHES, _PROOFS, *_FILES):
        shutil.rmtree(cache_dir() / name, ignore_errors=True)
    return freed


def _build(folder: Path, key: Mapping[str, str], build: Callable[[Path], None], about: str) -> None:
    # Under the lock nobody else builds this one: what stands here a killed build has left.
    for left in (folder, *folder.parent.glob(f".{folder.name}-*")):
        discard(left)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        build(scratch)
        stamps = {path.name: _stamp(path) for path in scratch.iterdir()}
        document = {"format": 1, "about": about, "key": dict(key), "files": stamps}
        (scratch / _ABOUT).write_text(json.dumps(document))
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _make_room(engines: Path, limit_bytes: int) -> None:
    """Remove what killed processes left, then the longest unused engines while over the limit."""
    day_ago_s = time.time() - _DAY_S
    for scratch in engines.glob(".*/"):
        with contextlib.suppress(OSError):
            if scratch.stat().st_mtime < day_ago_s:
                discard(scratch)
    found = sorted(_engines(engines), key=lambda entry: entry.used_s)
    total_bytes = sum(entry.size_bytes for entry in found)
    for entry in found:
        if total_bytes <= limit_bytes or entry.used_s >= day_ago_s:
            return
        _remove(entry.path)
        total_bytes -= entry.size_bytes


def _remove(folder: Path) -> None:
    """Remove an entry at once: who looks for it meanwhile finds all of it, or nothing."""
    with contextlib.suppress(OSError):
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            folder.rename(aside)
        finally:
            discard(aside)


def _digest(key: Mapping[str, str]) -> str:
    return sha256_of_key(json.dumps(dict(key), sort_keys=True).encode())[:24]


def _is_ready(folder: Path) -> bool:
    """Whether every file is still the one that the build wrote; that it is used now is noted."""
    try:
        stamps = json.loads((folder / _ABOUT).read_text())["files"]
        is_whole = all(_stamp(folder / name) == stamp for name, stamp in stamps.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    if is_whole:
        _note_use(folder)
    return is_whole


def _note_use(folder: Path) -> None:
    """The time of its description says when an engine was used: many systems note no access."""
    with contextlib.suppress(OSError):  # a cache that may only be read serves all the same
        if time.time() - (folder / _ABOUT).stat().st_mtime > _TOUCHED_S:
            os.utime(folder / _ABOUT)


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # given back when the file closes, also by a crash
        yield


def _engines(engines: Path) -> Iterator[Entry]:
    for folder in sorted(engines.glob("[!.]*/")):
        with contextlib.suppress(OSError):  # removed meanwhile
            yield _engine(folder)


def _engine(folder: Path) -> Entry:
    about, used_s = folder.name, 0.0
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        used_s = (folder / _ABOUT).stat().st_mtime
        about = str(json.loads((folder / _ABOUT).read_text())["about"])
    sizes = [path.stat().st_size for path in folder.iterdir() if path.is_file()]
    return Entry(folder, "engine", about, sum(sizes), used_s)


def _file(path: Path, kind: str) -> Entry:
    status = path.stat()
    return Entry(path, kind, path.name, status.st_size, status.st_atime)


def _not_writable(folder: Path, error: OSError) -> FileError:
    return FileError(
        f"{folder}: the cache cannot be written ({error.strerror})",
        hint="free space, or name another place in EDGECNN_CACHE",
    )
