"""The peers, each in an environment of its own that is made when it is first needed."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
WORKER = Path(__file__).with_name("accuracy_worker.py")
LIMIT_S = 1800

# What to install, and which of our tested versions bind it: ModelOpt wants an older onnx.
_ENVIRONMENTS = {
    "nncf": (("nncf", "onnx", "onnxruntime", "sympy"), ""),
    "modelopt": (("nvidia-modelopt[onnx]", "torch"), "torch=="),
    "litert": (("litert-torch==0.10.0", "torch"), "torch=="),
    "ncnn": (("--no-deps", "ncnn", "pnnx", "numpy"), ""),  # pnnx's program needs no PyTorch
}


class PeerError(Exception):
    """A peer cannot be installed, or fails on a network."""


def environment_of(tool: str) -> str:
    """The environment that a tool runs in."""
    name = tool.partition("-")[0]
    return name if name in _ENVIRONMENTS else "nncf"


def prepared(name: str, folder: Path) -> Path:
    """The Python of a peer's environment; raises PeerError where it cannot be made."""
    home = folder / f"venv-{name}"
    python, done, failed = home / "bin" / "python", home / ".installed", home / ".failed"
    if failed.exists():
        raise PeerError(failed.read_text(encoding="utf-8"))
    if not done.exists():
        packages, bound = _ENVIRONMENTS[name]
        venv.create(home, with_pip=True, clear=True)
        constraints = home / "constraints.txt"
        lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
        constraints.write_text("\n".join(line for line in lines if line.startswith(bound)))
        command = [str(python), "-m", "pip", "install", "-q", "-c", str(constraints), *packages]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            failed.write_text(last_line(run.stderr), encoding="utf-8")
            return prepared(name, folder)
        done.touch()
    return python


def quantize_with(
    python: Path, tool: str, source: Path, images: Path, output: Path, *, worker: Path = WORKER
) -> None:
    """Let a peer quantize a file; raises PeerError where it fails or takes too long."""
    command = [str(part) for part in (python, worker, tool, source, images, output)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise PeerError(f"not done in {LIMIT_S} s") from error
    if run.returncode or not output.exists():
        raise PeerError(last_line(run.stderr))


def last_line(text: str) -> str:
    """What a program said last: its error."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else f"no message from {sys.executable}"
