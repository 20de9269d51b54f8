"""Devices to test with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.devices.loopback import Loopback, Server, make_device, serve
from tests.profiling.toys import write_color_net

MakeDevice = Callable[..., Loopback]


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An sshd on the loopback, for all tests."""
    with serve(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def device(
    ssh_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeDevice]:
    """Make devices behind ssh; after the test nothing may run on them."""
    made: list[Loopback] = []

    def make(**options: object) -> Loopback:
        made.append(partial(make_device, ssh_server, tmp_path, monkeypatch)(**options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        assert each.settles(), each.running()


@pytest.fixture(scope="session")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that is large enough to be cut on its way."""
    return write_color_net(tmp_path_factory.mktemp("net") / "colors.onnx", work=2)
