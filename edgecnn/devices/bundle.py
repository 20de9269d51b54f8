"""The slim runtime as one zip: what travels to a device so that nothing need be installed there."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import edgecnn

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same package gives the same bytes


def runtime_archive() -> bytes:
    """`edgecnn.runtime` and the words of all rooms, for `PYTHONPATH`; the same bytes each time."""
    home = Path(edgecnn.__path__[0])
    runtime = home / "runtime"
    files = [*sorted(home.glob("*.py")), *sorted((*runtime.rglob("*.py"), *runtime.glob("*.c")))]
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            name = file.relative_to(home.parent).as_posix()
            _add(archive, name, file.read_bytes())
        version = edgecnn.__version__
        metadata = f"Metadata-Version: 2.1\nName: edgecnn\nVersion: {version}\n"
        place = f"edgecnn-{version}.dist-info/METADATA"
        _add(archive, place, metadata.encode())
    return held.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
