"""A file proves itself once on each engine of a device, before its first answer is believed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from edgecnn.errors import EdgecnnError, EngineError, FileError
from edgecnn.files import write_text
from edgecnn.runtime import cache, native
from edgecnn.runtime.facts import cpu_flags

if TYPE_CHECKING:
    from edgecnn.runtime.model import Model


def proven(model: Model) -> None:
    """Run the golden check where this file has not passed it yet on this engine and processor.

    An engine that was built just now proves itself again. Without a golden check there is nothing
    to prove, and BF16 is another precision than the one whose answer the file remembers. Closes
    the model and raises EngineError where it fails.
    """
    if model.contract.golden is None or "bf16" in model.precision:
        return
    noted = cache.proof_file(_key(model))
    if model.engine.facts.get("graph") == "cached" and noted.exists():
        return
    check_golden(model)
    with contextlib.suppress(OSError, FileError):  # without room for it, it is checked each time
        noted.parent.mkdir(parents=True, exist_ok=True)
        write_text(noted, model.path.name)


def check_golden(model: Model) -> None:
    """Run the golden check, if there is one; closes the model and raises where it fails."""
    if model.contract.golden is None:
        return
    try:
        problem = model.verify().problem
        if problem:
            raise EngineError(
                f"{model.path}: wrong answers on {model.engine.facts['engine']}: golden check "
                f"{problem}",
                hint="name another engine: --engine, load(engine=…); or make the file for this one",
            )
    except EdgecnnError:
        model.close()
        raise


def _key(model: Model) -> dict[str, str]:
    """What an answer depends on."""
    facts, contract = model.engine.facts, model.contract
    return {
        "sha256": model.sha256,
        "contract": repr((contract.preprocess, contract.golden)),
        "preprocess": native.in_use(),
        "cpu": " ".join(sorted(cpu_flags())),
        **{name: facts.get(name, "") for name in ("engine", "provider", "driver")},
    }
