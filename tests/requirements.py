"""Libraries and tools that only some machines have: without them a test is skipped, or fails.

`EDGECNN_REQUIRE` lists those that must be there (of `chromium,arm,rtx,openvino,litert,fleet`): then
nothing is skipped.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import Any, NoReturn

import pytest


def missing(name: str, reason: str) -> NoReturn:
    """Skip the test, or fail it where `EDGECNN_REQUIRE` names what is missing."""
    if name in os.environ.get("EDGECNN_REQUIRE", "").split(","):
        pytest.fail(f"EDGECNN_REQUIRE asks for {name}: {reason}")
    pytest.skip(reason)


def tensorrt_rtx() -> Any:
    """The module of TensorRT-RTX, whose builder needs no GPU."""
    try:
        return importlib.import_module("tensorrt_rtx_bindings")
    except (ImportError, OSError) as error:
        missing("rtx", f"TensorRT-RTX cannot be imported ({error}): pip install 'edgecnn[dev]'")


def openvino() -> None:
    """OpenVINO; the engine imports it, in its own way."""
    if importlib.util.find_spec("openvino") is None:
        missing("openvino", "OpenVINO is not installed: pip install 'edgecnn[dev]'")


def litert() -> None:
    """LiteRT; its engine imports it."""
    if importlib.util.find_spec("ai_edge_litert") is None:
        missing("litert", "LiteRT is not installed: pip install 'edgecnn[dev]'")


def distributed() -> None:
    """Dask's scheduler and workers; the fleet imports it, in its own way."""
    if importlib.util.find_spec("distributed") is None:
        missing("fleet", "Dask is not installed: pip install 'edgecnn[dev]'")
