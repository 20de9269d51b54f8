"""Every name of TensorRT's API that we touch is there, in each version that we claim to work with.

`trt_api.json` holds the public names of the classes we use, read from the real Python bindings of
each version: one letter a version, `x` where it has the name, `-` where it has not. Our own source
is read as a tree, so that a call which is added later is held against it as well.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import requirements

HERE = Path(__file__).parent
ENGINES = HERE.parent.parent / "edgecnn" / "runtime" / "engines"
SOURCES = [ENGINES / name for name in ("trt_build.py", "trt_plans.py", "tensorrt.py", "trt_log.py")]
TABLE = json.loads((HERE / "trt_api.json").read_text())
VERSIONS: list[str] = TABLE.pop("versions")
API: dict[str, dict[str, str]] = TABLE

# What our variables hold; with or without `self._` before them.
HOLDS = {
    "builder": "Builder",
    "config": "IBuilderConfig",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "fault": "ParserError",
    "profile": "IOptimizationProfile",
    "tensor": "ITensor",
    "layer": "ILayer",
    "timings": "ITimingCache",
    "runtime": "Runtime",
    "engine": "ICudaEngine",
    "context": "IExecutionContext",
    "runtime_config": "IRuntimeConfig",
    "jit": "IRuntimeCache",
}
Name = tuple[str, str]  # class, attribute


def owner(node: ast.expr) -> str | None:
    """The class of TensorRT that an expression of ours stands for."""
    if isinstance(node, ast.Name):
        return "top" if node.id == "trt" else HOLDS.get(node.id)
    if isinstance(node, ast.Attribute):
        if isinstance(node.value, ast.Name) and node.value.id == "trt":
            return node.attr
        if isinstance(node.value, ast.Name) and node.value.id == "self":
            return "top" if node.attr == "_trt" else HOLDS.get(node.attr.removeprefix("_"))
    return None


def touched(tree: ast.AST) -> Iterator[Name]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not node.attr.startswith("_"):
            kind = owner(node.value)
            if kind is not None:
                yield kind, node.attr


def guards(tree: ast.AST) -> Iterator[Name]:
    """What a piece of code asks for by `hasattr`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            asked = node.args[1] if node.func.id == "hasattr" else None
            if isinstance(asked, ast.Constant):
                yield str(owner(node.args[0])), str(asked.value)


def where(name: Name) -> set[str]:
    """The versions that have a name."""
    row = API.get(name[0], {}).get(name[1], "-" * len(VERSIONS))
    return {version for version, has in zip(VERSIONS, row, strict=True) if has == "x"}


def functions(source: str) -> Iterator[ast.AST]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            yield node


def faults(source: str) -> set[str]:
    """The names used without asking that some version lacks."""
    found = set()
    for function in functions(source):
        asked = [where(guard) for guard in guards(function)]
        for name in touched(function):
            # An object can only be held where its class exists.
            needed = where(("top", name[0])) if name[0] in API["top"] else set(VERSIONS)
            if name == ("top", "IProgressMonitor"):  # made only for a config that takes one
                needed = where(("IBuilderConfig", "progress_monitor"))
            has = where(name)
            if not needed <= has and not any(guard <= has for guard in asked):
                found.add(f"{name[0]}.{name[1]} is missing in {sorted(needed - has)}")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_every_name_that_we_touch_is_there_or_is_asked_for(path: Path) -> None:
    assert not faults(path.read_text(encoding="utf-8"))


def test_the_reader_sees_what_the_engine_does() -> None:
    seen = {name for path in SOURCES for name in touched(ast.parse(path.read_text()))}
    assert {
        ("OnnxParser", "parse_from_file"),
        ("Builder", "build_serialized_network"),
        ("IBuilderConfig", "set_memory_pool_limit"),
        ("IExecutionContext", "execute_async_v3"),
        ("IExecutionContext", "set_tensor_address"),
        ("ICudaEngine", "num_io_tensors"),
        ("BuilderFlag", "TF32"),
        ("IRuntimeCache", "serialize"),
    } <= seen


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("builder.build_engine(network, config)", "Builder.build_engine"),
        ("config.max_workspace_size = 1", "IBuilderConfig.max_workspace_size"),
        ("config.set_flag(trt.BuilderFlag.FP16)", "BuilderFlag.FP16"),
        ("config.progress_monitor = None", "IBuilderConfig.progress_monitor"),
        ("self._context.execute_async_v2([], 0)", "IExecutionContext.execute_async_v2"),
        ("layer.precision = trt.DataType.FLOAT", "ILayer.precision"),
        ("engine.num_bindings", "ICudaEngine.num_bindings"),
    ],
)
def test_a_name_that_a_version_lacks_would_be_found(line: str, fault: str) -> None:
    assert any(fault in found for found in faults(f"def build(self, trt):\n    {line}\n"))


def test_a_name_that_is_asked_for_may_be_missing() -> None:
    code = (
        "def build(trt, config):\n"
        '    if hasattr(config, "progress_monitor"):\n'
        "        config.progress_monitor = None\n"
    )
    assert not faults(code)


def test_the_table_is_what_the_installed_bindings_have() -> None:
    trt = requirements.tensorrt_rtx()
    column = VERSIONS.index("tensorrt-rtx 1.7.1.116")
    if trt.__version__ != "1.7.1.116":
        pytest.skip(f"the table has 1.7.1.116, installed is {trt.__version__}")
    for kind, names in API.items():
        holder = trt if kind == "top" else getattr(trt, kind)
        for name, row in names.items():
            assert hasattr(holder, name) == (row[column] == "x"), f"{kind}.{name}"
