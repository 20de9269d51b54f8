"""What travels to a device is enough to run there."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from edgecnn import __version__
from edgecnn.devices.bundle import runtime_archive

# Each is imported where its library is wanted, and imports it.
ONE_LIBRARY = ("gstreamer.py", "opencv.py", "picamera.py", "pyav.py")


def test_the_same_package_gives_the_same_bytes() -> None:
    """Else every run would bring a new one."""
    assert runtime_archive() == runtime_archive()
    assert len(runtime_archive()) < 200_000


def test_every_module_of_the_runtime_is_imported_from_the_archive_alone(tmp_path: Path) -> None:
    archive = tmp_path / "runtime"
    archive.write_bytes(runtime_archive())
    names = [name for name in zipfile.ZipFile(archive).namelist() if "/runtime/" in name]
    assert "edgecnn/runtime/resize.c" in names
    modules = [
        name.removesuffix(".py").replace("/", ".")
        for name in names
        if name.endswith(".py") and not name.endswith(ONE_LIBRARY)
    ]
    assert "edgecnn.runtime.__main__" in modules
    code = (
        "import importlib, importlib.metadata, sys; sys.path.insert(0, sys.argv[1])\n"
        "for name in sys.argv[2:]:\n"
        "    assert importlib.import_module(name).__file__.startswith(sys.argv[1]), name\n"
        "print(importlib.metadata.version('edgecnn'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(archive), *modules],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == __version__
