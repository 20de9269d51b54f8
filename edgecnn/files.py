"""Writing files so that nobody ever sees half of one, and naming files by their content."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator
from pathlib import Path

from edgecnn.errors import EdgecnnError, FileError

_CHUNK_BYTES = 1 << 20


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A temporary path beside `target` that becomes it on success and vanishes on any failure.

    Raises FileError where the folder is missing, not writable or full.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{os.urandom(4).hex()}.part")
    try:
        check_writable(target)
        yield temporary
        temporary.replace(target)
    except EdgecnnError:
        raise
    except OSError as error:
        raise write_error(target, error) from error
    finally:
        # Also after Ctrl-C: whatever happened, no half-written file stays behind.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write a text file atomically; raises FileError."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def check_writable(target: Path) -> None:
    """Raise FileError now rather than after minutes of work where `target` cannot be written."""
    folder = target.parent
    if not folder.is_dir():
        raise FileError(f"{target}: there is no folder {folder}", hint=f"mkdir -p {folder}")
    if target.is_dir():
        raise FileError(f"{target} is a folder", hint="name a file: -o FILE")
    if not os.access(folder, os.W_OK):
        raise FileError(f"{target}: no permission to write into {folder}", hint="choose -o FILE")


def write_error(target: Path, error: OSError) -> FileError:
    """What went wrong while writing `target`, in our words."""
    reason = error.strerror or str(error)
    return FileError(f"{target}: cannot be written ({reason})", hint="free space or choose -o FILE")


def read_error(path: Path, error: OSError) -> FileError:
    """What went wrong while reading `path`, in our words."""
    if isinstance(error, FileNotFoundError):
        return FileError(f"{path}: there is no such file", hint="check the name")
    reason = error.strerror or str(error)
    return FileError(
        f"{path}: cannot be read ({reason})", hint="check the file and its permissions"
    )


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes as hex; raises FileError."""
    import hashlib  # here alone: see sha256_of_key

    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise read_error(path, error) from error
    return digest.hexdigest()


def sha256_of_key(data: bytes) -> str:
    """The sha256 of a few bytes as hex, by Python's own code.

    hashlib brings OpenSSL with it, which would cost a camera app 4 MB from its start to its end.
    """
    for module in ("_sha2", "_sha256"):  # of Python 3.12 and later; before
        with contextlib.suppress(ImportError):
            return str(importlib.import_module(module).sha256(data).hexdigest())
    import hashlib  # a Python that was built without either

    return hashlib.sha256(data).hexdigest()


def human_size(size_bytes: float) -> str:
    """A size as people read it: '812 B', '3.8 MB'."""
    if size_bytes < 1000:
        return f"{size_bytes:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size_bytes /= 1000
        if size_bytes < 1000 or unit == "GB":
            break
    return f"{size_bytes:.{1 if size_bytes < 10 else 0}f} {unit}"
