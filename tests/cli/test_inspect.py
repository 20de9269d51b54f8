"""What `inspect FILE` says of how a file came to be: a line for each thing, in words.

Of a quantized file with a budget: test_budget.py.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgecnn.cli.steps import told
from edgecnn.onnxfile import read_contract, write_contract
from tests.cli.conftest import Edgecnn


def lines_of(said: str) -> dict[str, str]:
    """The last text of each label."""
    return {line[:12].rstrip(): line[13:] for line in said.splitlines()}


def test_an_exported_file_tells_its_parity(edgecnn: Edgecnn, lenet: Path) -> None:
    found = lines_of(edgecnn("inspect", lenet).out)
    assert found["step"].startswith("export: by ")
    assert ", opset 17, batch 1, " in found["step"]
    assert found["  check"].startswith("8 images, max |diff| ")
    assert found["  check"].endswith("top-1 equal on 8")


def test_a_drop_is_told_in_points() -> None:
    budget = {"metric": "drop", "value": 0.003, "interval": [-0.002, 0.008], "limit": 0.005}
    step = {"step": "quantize", "budget": budget | {"verdict": "cannot tell"}}
    lines = dict(told({"steps": [step]}))
    assert lines["  budget"] == "top-1 drop 0.3 points (-0.2 to 0.8), 0.5 allowed, cannot tell"


def test_of_a_detector_boxes_are_counted() -> None:
    check = {"images": 3, "top1_agreement": 0.2, "boxes": {"found": 120, "boxes": 137}}
    lines = dict(told({"steps": [{"step": "quantize", "check": check}]}))
    assert lines["  check"] == "3 images, 120 of 137 boxes found again"


def test_of_a_half_file_its_layers_and_images_are_told() -> None:
    images = {"name": "photos", "images": 32, "sha256": "d45a50b31eab02fb"}
    kept = [{"layer": f"conv_{index}", "reason": "values up to 1e5"} for index in range(6)]
    half = {"step": "half", "layers": 53, "float_layers": kept, "images": images}
    lines = dict(told({"steps": [half]}))
    assert lines["step"] == ("half: 53 layers in FP16, on 32 images of photos, sha256 d45a50b31eab")
    assert lines["  float"] == "conv_0, conv_1, conv_2, conv_3, and 2 more"


def test_a_step_of_another_version_tells_what_is_plain(edgecnn: Edgecnn, lenet: Path) -> None:
    contract = read_contract(lenet)
    steps = [{"step": "prune", "share": 0.3, "names": ["a"]}]
    provenance = {**contract.provenance, "steps": steps, "calibration": 7}
    write_contract(lenet, Path("odd.onnx"), dataclasses.replace(contract, provenance=provenance))
    said = edgecnn("inspect", "odd.onnx")
    assert said.code == 0, said.err
    assert lines_of(said.out)["step"] == "prune: share 0.3"


KEYS = re.findall(
    r"\S+",
    "step exporter opset batch nodes target method effort kept per_tensor float_layers layers "
    "images name sha256 sqnr_db max_abs_diff top1_equal found boxes top1_agreement error_here_db "
    "cause {odd} metric interval value limit judged_on verdict worst_layer check parity budget",
)
PLAIN = st.sampled_from([None, True, 7, 10**400, -0.25, float("inf"), "", "text", [], [1, "two"]])
FOUND = st.dictionaries(st.sampled_from(KEYS), PLAIN, max_size=5)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from(KEYS), PLAIN | FOUND, max_size=8),
    st.sampled_from(["export", "quantize", "half", "prune"]),
)
def test_whatever_stands_there_is_told_or_left_out(step: dict[str, Any], name: str) -> None:
    lines = told({"steps": [step | {"step": name}], "calibration": step})
    assert all(label for label, _ in lines)
