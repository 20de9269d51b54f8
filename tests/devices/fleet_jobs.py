"""What workers are asked to do in tests."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecnn.errors import EngineError, ModelError
from edgecnn.runtime.cache import cache_dir


def read(arguments: Mapping[str, Any], files: Mapping[str, Path]) -> Mapping[str, Any]:
    """What stands in the file, and who has read it; `seconds` later."""
    time.sleep(arguments.get("seconds", 0))
    return {"said": files["words"].read_text(), "by": str(cache_dir())}


def torn(arguments: Mapping[str, Any], files: Mapping[str, Path]) -> Mapping[str, Any]:
    raise ModelError(f"{files['words']}: torn", hint="mend it")


def weak(arguments: Mapping[str, Any], files: Mapping[str, Path]) -> Mapping[str, Any]:
    """What one board cannot do, and another can."""
    if cache_dir().name == arguments["weak"]:
        raise EngineError("no memory", hint="buy some")
    return read(arguments, files)


def buggy(arguments: Mapping[str, Any], files: Mapping[str, Path]) -> Mapping[str, Any]:
    raise RuntimeError("not what was meant")


def silly(arguments: Mapping[str, Any], files: Mapping[str, Path]) -> Any:
    return [1, 2, 3]


def deadly(arguments: Mapping[str, Any], files: Mapping[str, Path]) -> Mapping[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}
