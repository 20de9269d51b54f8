"""The house has rooms and doors: who may import whom, and what the device must never load."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "edgecnn"

WORDS = frozenset(
    {
        *("errors", "counted", "detection", "melspectrogram", "contract", "contract_json", "files"),
        *("protobuf", "external", "onnxheader", "onnxfile"),
    }
)
MAY_IMPORT = {
    "errors": frozenset[str](),
    "counted": frozenset[str](),
    "detection": {"errors"},
    "melspectrogram": {"errors"},
    "contract": {"errors", "detection", "melspectrogram"},
    "contract_json": {"errors", "detection", "melspectrogram", "contract"},
    "files": {"errors"},
    "protobuf": {"errors", "files"},
    "external": {"errors"},
    "onnxheader": {"errors", "contract", "protobuf", "external"},
    "onnxfile": {"errors", "contract", "contract_json", "files", "protobuf", "onnxheader"},
    "runtime": WORDS,
    "datasets": WORDS | {"runtime"},
    "graph": WORDS | {"runtime", "datasets"},
    "zoo": {"errors", "detection", "contract", "contract_json"},
    "training": WORDS | {"zoo", "datasets", "graph", "runtime"},
    "devices": WORDS | {"runtime"},
    "profiling": WORDS | {"runtime", "datasets", "devices"},
    "recipe": WORDS,
}
MAY_IMPORT["pipeline"] = frozenset(MAY_IMPORT)
MAY_IMPORT["cli"] = frozenset(MAY_IMPORT)
MAY_IMPORT["__main__"] = frozenset({"cli"})
MAY_IMPORT["__init__"] = frozenset[str]()

# Libraries that belong to a few rooms only; everything else is free.
OWNERS = {
    "click": {"cli"},
    "rich": {"cli"},
    "torch": {"zoo", "training", "graph/torch_export.py"},
    "onnxsim": {"graph/simplify.py", "graph/simplify_worker.py"},
    "onnx": {"graph"},
    "openvino": {"runtime/engines/openvino.py"},
    "ai_edge_litert": {"runtime/engines/litert.py"},
    "onnxruntime": {"graph", "runtime/engines/ort.py"},
    "PIL": {"datasets", "runtime/sources/pictures.py"},
    "av": {"runtime/sources/pyav.py", "pipeline/record.py"},
    "cv2": {"runtime/sources/opencv.py", "pipeline/screen.py"},
    "gi": {"runtime/sources/gstreamer.py"},
    "picamera2": {"runtime/sources/picamera.py"},
    "sklearn": {"datasets"},
    "skimage": {"datasets"},
    "altair": {"profiling"},
    "vl_convert": {"profiling"},
    "distributed": {"devices/cluster.py"},
    "safetensors": {"zoo", "training"},
}
HEAVY = frozenset(
    {
        "torch",
        "click",
        "onnx",
        "onnxruntime",
        "openvino",
        "ai_edge_litert",
        "tensorrt",
        "tensorrt_rtx",
        "PIL",
        "cv2",
        "av",
        "gi",
        "scipy",
        "rich",
    }
)


def files() -> Iterator[Path]:
    return (path for path in PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            yield from (f"{module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", sorted(files()), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_rooms_before_it(path: Path) -> None:
    here = room(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "edgecnn" or len(parts) < 2 or parts[1] == "__version__":
            continue
        assert parts[1] == here or parts[1] in MAY_IMPORT[here], f"{here} must not import {name}"


@pytest.mark.parametrize("path", sorted(files()), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_library_is_imported_only_where_it_is_owned(path: Path) -> None:
    inside = str(path.relative_to(PACKAGE))
    for name in imports(path):
        owners = OWNERS.get(name.split(".")[0])
        if owners is None or _is_type_checking_only(path, name):
            continue
        assert room(path) in owners or inside in owners, f"{inside} must not import {name}"


def _is_type_checking_only(path: Path, name: str) -> bool:
    """Whether every import of `name` stands under `if TYPE_CHECKING:`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    remaining = ast.unparse(ast.fix_missing_locations(tree))
    return f"import {name.split('.')[0]}" not in remaining and (
        f"from {name.split('.')[0]}" not in remaining
    )


@pytest.mark.parametrize("module", ["edgecnn", "edgecnn.runtime", "edgecnn.runtime.measure"])
def test_the_device_side_loads_numpy_and_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(done.stdout.split())


def test_help_loads_no_engine_and_no_framework() -> None:
    code = (
        "import sys; from edgecnn.cli.app import run; run(['--help'])\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "edgecnn export mobilenetv2" in done.stdout
    assert (HEAVY - {"click"} | {"numpy"}).isdisjoint(done.stderr.split())


def test_the_verbs_of_the_package_are_there_when_asked_for() -> None:
    import edgecnn

    for name in edgecnn.__all__:
        assert getattr(edgecnn, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'abacus'"):
        _ = edgecnn.abacus
