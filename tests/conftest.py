"""What holds for every test."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from PIL import Image

from edgecnn.datasets.natural import natural_images

settings.register_profile("unhurried", deadline=None)  # a machine may be busy with other things
settings.load_profile("unhurried")


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A shell starts what it runs in the background deaf to Ctrl-C, and children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> Iterator[None]:
    """Where Python keeps no bytecode, each process that a test starts would compile all of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What is set up for many tests caches here, never in the cache of whoever runs them."""
    folder = str(tmp_path_factory.mktemp("shared-cache"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGECNN_CACHE", folder)
        yield folder


@pytest.fixture(autouse=True)
def own_cache(request: pytest.FixtureRequest, shared_cache: str) -> Iterator[None]:
    """Each test's engines go when it passes: all of them together would fill a small disk.

    A module that has set up a cache for its tests keeps it.
    """
    if os.environ["EDGECNN_CACHE"] != shared_cache:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        folder: Path = request.getfixturevalue("tmp_path") / "edgecnn-cache"
        patch.setenv("EDGECNN_CACHE", str(folder))
        yield


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty drawn pictures as files: to draw them anew takes ten times as long."""
    folder = tmp_path_factory.mktemp("pictures")
    for index, image in enumerate(natural_images(20, height=96, width=112, seed=0)):
        Image.fromarray(image).save(folder / f"{index}.png")
    return folder
