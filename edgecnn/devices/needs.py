"""What a device lacks, and the command that mends it: per board, per JetPack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgecnn.devices.hello import Hello
from edgecnn.errors import DeviceError
from edgecnn.files import human_size

LEAST_PYTHON = (3, 10)
ENGINES = ("onnxruntime", "ai_edge_litert", "tensorrt", "tensorrt_rtx", "tensorrt_lean")
OWN_ENVIRONMENT = "~/.edgecnn"

_LEAST_FREE_BYTES = 500_000_000
# The last JetPack of boards that NVIDIA no longer brings new ones for, and its Python.
_LAST_JETPACK = {
    "Nano": ("4.6", "3.6"), "TX2": ("4.6", "3.6"), "TX2 NX": ("4.6", "3.6"),
    "Xavier": ("5.1", "3.8"), "Xavier NX": ("5.1", "3.8"), "AGX Xavier": ("5.1", "3.8"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Need:
    """Something that is missing: what, how to mend it, and what does not run without it."""

    what: str
    remedy: str
    stops: Literal["everything", "models", "nothing"]


def needs(hello: Hello) -> tuple[Need, ...]:
    """All that a device lacks, the worst first."""
    if hello.python[:2] < LEAST_PYTHON:
        return (_old_python(hello),)
    found = []
    if hello.packages.get("numpy") is None:
        found.append(
            Need("NumPy is not installed", _install("numpy onnxruntime", hello), "everything")
        )
    if all(hello.packages.get(engine) is None for engine in ENGINES):
        found.append(_no_engine(hello))
    elif hello.board.kind == "jetson" and hello.packages.get("tensorrt") is None:
        found.append(_no_tensorrt())
    if hello.free_bytes < _LEAST_FREE_BYTES:
        left = human_size(hello.free_bytes)
        found.append(Need(f"{left} are left where files are kept", "make room there", "nothing"))
    return tuple(found)


def refuse_unfit(name: str, hello: Hello) -> None:
    """Raise DeviceError where the runtime cannot run at all: no Python, no NumPy that would do."""
    for need in needs(hello):
        if need.stops == "everything":
            raise DeviceError(f"{name}: {need.what}", hint=need.remedy)


def _install(packages: str, hello: Hello) -> str:
    """The command that installs packages where edgecnn finds them, beside those of the system."""
    first = "" if hello.has_venv else "sudo apt install python3-venv && "
    make = f"{first}python3 -m venv --system-site-packages {OWN_ENVIRONMENT}"
    return f"{make} && {OWN_ENVIRONMENT}/bin/pip install {packages}"


def _old_python(hello: Hello) -> Need:
    least, has = (".".join(map(str, version[:2])) for version in (LEAST_PYTHON, hello.python))
    what = f"has Python {has}, and edgecnn's runtime needs {least}"
    last = _LAST_JETPACK.get(hello.board.series)
    if hello.pythons:
        other = hello.pythons[-1]
        remedy = f"it has {other} too: edgecnn devices add NAME URL --python {other}"
        return Need(what, remedy, "everything")
    if last:
        what += f": JetPack {last[0]} (Python {last[1]}) is the last for a {hello.board.series}"
    if hello.board.kind == "jetson" and not last:
        pack = f" (JetPack {hello.board.jetpack})" if hello.board.jetpack else ""
        remedy = "flash JetPack 6 or later with NVIDIA SDK Manager"
        return Need(what + pack, remedy, "everything")
    return Need(
        what,
        "for its CPU: install Miniforge there, then   ~/miniforge3/bin/pip install numpy "
        "onnxruntime   and name it: --python '~/miniforge3/bin/python'",
        "everything",
    )


def _no_engine(hello: Hello) -> Need:
    what = "no engine library is installed"
    if hello.board.kind == "jetson":
        return Need(what, _no_tensorrt().remedy, "models")
    return Need(what, _install("numpy onnxruntime", hello), "models")


def _no_tensorrt() -> Need:
    return Need(
        "TensorRT's Python is not installed: only the CPU will be used",
        "sudo apt install nvidia-jetpack python3-libnvinfer",
        "nothing",
    )
