"""The cache: engines built on this device, weights downloaded once, states of unfinished work.

Nothing in it is precious: every entry can be built or fetched again. An entry is a folder that
appears whole or not at all, so a killed build leaves nothing that could be mistaken for one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgecnn.errors import FileError
from edgecnn.files import read_error, write_text

_ABOUT = "about.json"
_ENGINES = "engines"
_HASHES = "hashes"
_HASH_LENGTH = 64
_SETTLED_NS = 2_000_000_000  # a file that is younger may change again under the same times
# Folder -> what a file in it is.
_FILES = {
    "weights": "weights",
    "timing": "timings of kernels",
    "unfinished": "unfinished work",
    "features": "features",
    "models": "model",
}


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
    that start together build once. Raises FileError where the cache cannot be written.
    """
    folder = cache_dir() / _ENGINES / _digest(key)
    if _is_whole(folder):
        return folder, False
    try:
        with _lock(folder):
            if _is_whole(folder):
                return folder, False
            _build(folder, key, build, about)
    except OSError as error:
        raise _not_writable(folder.parent, error) from error
    return folder, True


def existing_entry(key: Mapping[str, str]) -> Path | None:
    """The folder of the engine with this key, or None where none was built."""
    folder = cache_dir() / _ENGINES / _digest(key)
    return folder if _is_whole(folder) else None


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


def remembered_sha256(
    path: Path, sha256: Callable[[], tuple[str, bool]], *, settled_ns: int = _SETTLED_NS
) -> str:
    """The hash of a file, from memory while its inode, size and times are what they were then.

    `sha256` finds it out where it is not known, and says whether it is of this file alone; then it
    is remembered, unless the file has changed within `settled_ns`. To read hundreds of megabytes
    at each start would take longer than to load the engine. Raises FileError.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise read_error(path, error) from error
    stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    known = cache_dir() / _HASHES / _digest({"path": str(path.resolve()), "stamp": str(stamp)})
    with contextlib.suppress(OSError, ValueError):
        found = known.read_text(encoding="ascii")
        if len(found) == _HASH_LENGTH:
            return found
    found, is_alone = sha256()
    if is_alone and time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > settled_ns:
        with contextlib.suppress(OSError, FileError):
            known.parent.mkdir(parents=True, exist_ok=True)
            write_text(known, found)
    return found


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
    folders = sorted((root / _ENGINES).glob("[!.]*/"))
    found = [_engine(folder) for folder in folders]
    for folder, kind in _FILES.items():
        files = sorted((root / folder).glob("*"))
        found += [_file(path, kind) for path in files if path.is_file()]
    return tuple(sorted(found, key=lambda entry: -entry.used_s))


def clear() -> int:
    """Empty the cache and return the bytes that it held; other files in its folder stay."""
    freed = sum(entry.size_bytes for entry in entries())
    for name in (_ENGINES, _HASHES, *_FILES):
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


def _digest(key: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(key), sort_keys=True).encode()).hexdigest()[:24]


def _is_whole(folder: Path) -> bool:
    """Whether every file is still the one that the build wrote."""
    try:
        stamps = json.loads((folder / _ABOUT).read_text())["files"]
        return all(_stamp(folder / name) == stamp for name, stamp in stamps.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # given back when the file closes, also by a crash
        yield


def _engine(folder: Path) -> Entry:
    files = [path for path in folder.iterdir() if path.is_file()]
    about = folder.name
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        about = str(json.loads((folder / _ABOUT).read_text())["about"])
    return Entry(
        path=folder,
        kind="engine",
        about=about,
        size_bytes=sum(path.stat().st_size for path in files),
        used_s=max((path.stat().st_atime for path in files), default=0.0),
    )


def _file(path: Path, kind: str) -> Entry:
    status = path.stat()
    return Entry(path, kind, path.name, status.st_size, status.st_atime)


def _not_writable(folder: Path, error: OSError) -> FileError:
    return FileError(
        f"{folder}: the cache cannot be written ({error.strerror})",
        hint="free space, or name another place in EDGECNN_CACHE",
    )
