"""Simplify a graph with onnxsim, and keep the plain one where that goes wrong."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto

from edgecnn.errors import FileError, GraphError, ParityError
from edgecnn.graph import simplify_worker
from edgecnn.graph.canonical import lift_constants
from edgecnn.graph.light import check, lighten, put_graph
from edgecnn.graph.names import name_constants, strip_notes
from edgecnn.graph.parity import Parity

TIMEOUT_S = 120.0

Check = Callable[[ModelProto], Parity]


@dataclass(frozen=True, slots=True)
class Simplified:
    """A model that has passed its check; `note` says why it was kept unsimplified, where it was."""

    model: ModelProto
    parity: Parity
    nodes_before: int
    nodes_after: int
    note: str | None = None


def simplify(
    model: ModelProto, *, check_answers: Check, timeout_s: float = TIMEOUT_S
) -> Simplified:
    """Simplify a model in place.

    `check_answers` compares a model's answers with the reference's and raises ParityError. Where
    onnxsim crashes, takes longer than `timeout_s` or changes the answers, the model stays as it
    was; where its answers were wrong before, that ParityError is raised.
    """
    before = lighten(model)
    nodes_before = len(before.graph.node)
    try:
        put_graph(model, _simplified(before, timeout_s))
        strip_notes(model)
        parity, note = check_answers(model), None
    except (GraphError, ParityError) as error:
        put_graph(model, before)
        parity, note = check_answers(model), f"kept unsimplified: {error}"
    return Simplified(model, parity, nodes_before, len(model.graph.node), note)


def _simplified(light: ModelProto, timeout_s: float) -> ModelProto:
    """What onnxsim makes of a model, valid and readable; raises GraphError."""
    known = {item.name for item in light.graph.initializer}
    try:
        with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
            source, target = Path(folder) / "source.onnx", Path(folder) / "target.onnx"
            source.write_bytes(light.SerializeToString())
            _run_onnxsim(source, target, timeout_s)
            simplified = onnx.load(target)
    except OSError as error:
        raise FileError(f"{tempfile.gettempdir()}: {error.strerror}", hint="free space") from error
    except DecodeError as error:
        raise GraphError("onnxsim wrote no model", hint=_HINT) from error
    lift_constants(simplified)
    name_constants(simplified, known)
    check(simplified)
    return simplified


_HINT = "the model works as it is; another onnxsim may simplify it"


def _run_onnxsim(source: Path, target: Path, timeout_s: float) -> None:
    # -P: the folder of the script must not hide other modules behind its names.
    command = [sys.executable, "-P", str(simplify_worker.__file__), str(source), str(target)]
    try:
        done = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise GraphError(f"onnxsim took more than {timeout_s:g} s", hint=_HINT) from error
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise GraphError(f"onnxsim was ended by {name}", hint=_HINT)
    if done.returncode or not target.exists():
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise GraphError(f"onnxsim failed: {lines[-1][:160]}", hint=_HINT)
