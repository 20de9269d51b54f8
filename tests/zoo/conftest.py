"""What the zoo's tests share: a server to download from, and the real images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.zoo.fileserver import FileServer, serving


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small work is done sooner by one thread than by two that wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A server with a megabyte to give."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    files = FileServer(content=bytes(range(256)) * 4096)
    with serving(files):
        yield files


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images and weights; without it, the tests that ask for it are skipped."""
    default = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("EDGECNN_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no test data in {folder} (EDGECNN_TEST_DATA names the folder)")
    return folder
