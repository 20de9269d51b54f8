"""Running the command as a user does, in an empty folder with a cache of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgecnn.cli.app import run


@dataclass(frozen=True, slots=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Its `--json`."""
        return json.loads(self.out)


Edgecnn = Callable[..., Said]


@pytest.fixture
def edgecnn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Edgecnn:
    """Run `edgecnn ARGUMENTS`."""
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def said(*arguments: object) -> Said:
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return said


@pytest.fixture(scope="session")
def lenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LeNet-5 with random weights, exported once."""
    from edgecnn.pipeline.export import ExportOptions, export

    target = tmp_path_factory.mktemp("lenet") / "lenet5.onnx"
    export("lenet5", output=target, options=ExportOptions(weights="random", images=8))
    return target
