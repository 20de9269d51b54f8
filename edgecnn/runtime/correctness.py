"""Whether an engine answers rightly: the golden check, and the answers of another engine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Contract
from edgecnn.errors import EngineError
from edgecnn.runtime.model import Model

Answers = tuple[tuple[NDArray[np.float32], ...], ...]
"""All outputs of a model, for one image after another."""

# How far an engine's answers must be above their difference to the reference's. Two engines that
# round INT8 rightly at different places are 23 to 29 dB apart on trained networks, FP32 94 to 117.
_LEAST_SQNR_DB = {"fp32": 60.0, "fp16": 35.0, "int8": 20.0, "int8+fp16": 20.0}
_NEVER_BELOW_DB = 3.0
_TWICE_DB = 3.0
_EXACT_DB = 200.0
_WRONG = "name another engine: --engine onnxruntime"


def check_answers(model: Model, answers: Answers, wanted: Answers) -> None:
    """Raise EngineError where a model's answers are not the wanted ones, but for rounding."""
    passing(model, answers)
    by_output = zip(
        *(map(_sqnr_db, given, right) for given, right in zip(answers, wanted, strict=True)),
        strict=True,
    )
    worst_db = min(float(np.mean(values)) for values in by_output)
    least_db = least_sqnr_db(model.precision, model.contract)
    if not worst_db >= least_db:  # NaN is refused too
        raise EngineError(
            f"its answers are {worst_db:.0f} dB from the reference, {least_db:.0f} are asked for",
            hint=_WRONG,
        )


def passing(model: Model, answers: Answers) -> Answers:
    """The answers of a model that passes the golden check; raises EngineError where it fails."""
    if model.contract.golden is None or (found := model.verify()).passed:
        return answers
    raise EngineError(f"golden check: {found.problem}", hint=_WRONG)


def least_sqnr_db(precision: str, contract: Contract) -> float:
    """How far above the difference to the reference's an engine's answers must be, in dB.

    Less where INT8 itself is farther from FP32 on the images kept aside, as the contract says: two
    engines that round at different places are that far from FP32 each, so twice the noise (3 dB)
    lies between them.
    """
    usual_db = _LEAST_SQNR_DB.get(precision, _LEAST_SQNR_DB["fp32"])
    steps = contract.provenance.get("steps", ())
    checks = [step.get("check") for step in steps if isinstance(step, Mapping)]
    told = [check.get("sqnr_db") for check in checks if isinstance(check, Mapping)]
    if not precision.startswith("int8") or not told or not isinstance(told[-1], (int, float)):
        return usual_db
    return max(_NEVER_BELOW_DB, min(usual_db, told[-1] - _TWICE_DB))


def _sqnr_db(given: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    """The power of the wanted answer, centred, over the difference's; 200 where they are equal."""
    error = float(np.mean(np.square(given.astype(np.float64) - wanted)))
    signal = float(np.var(wanted, dtype=np.float64))
    if error <= signal * 10 ** (-_EXACT_DB / 10):
        return _EXACT_DB
    return 10 * float(np.log10(max(signal, np.finfo(np.float64).tiny) / error))
