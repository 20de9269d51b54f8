"""A file is there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgecnn.errors import FileError
from edgecnn.files import (
    atomic_path,
    check_writable,
    human_size,
    sha256_of,
    sha256_of_key,
    write_text,
)


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"half")
        assert not target.exists()
    assert target.read_bytes() == b"half"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, failure: type[BaseException]
) -> None:
    target = tmp_path / "model.onnx"
    target.write_text("old")

    def fail() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("new")
            raise failure

    with pytest.raises(failure):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_an_error_in_our_words(tmp_path: Path) -> None:
    """A file-size limit fails as a full disk does: in the middle of a write."""
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from edgecnn.errors import FileError; from edgecnn.files import write_text\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_text(Path(sys.argv[1]), 'x' * 5000)\n"
        "except FileError as error: print(error, '|', error.hint)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "big.txt")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot be written (File too large)" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_and_a_folder_as_target_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no folder"):
        check_writable(tmp_path / "missing" / "x")
    with pytest.raises(FileError, match="is a folder"):
        check_writable(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(FileError, match="no permission"):
        check_writable(tmp_path / "x")


def test_a_file_is_named_by_its_content(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "abc")
    assert sha256_of(tmp_path / "a").startswith("ba7816bf8f01cfea")
    with pytest.raises(FileError, match="there is no such file"):
        sha256_of(tmp_path / "missing")


@pytest.mark.parametrize("data", [b"", b"abc", bytes(1000)])
def test_a_key_is_named_as_hashlib_would(data: bytes) -> None:
    assert sha256_of_key(data) == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(812, "812 B"), (3_800_000, "3.8 MB"), (13_900_000, "14 MB"), (2_500_000_000, "2.5 GB")],
)
def test_sizes_read_as_people_say_them(size_bytes: int, text: str) -> None:
    assert human_size(size_bytes) == text
