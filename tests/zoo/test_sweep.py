"""The sweep over the zoo records whatever comes of a network, and goes on."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks import zoo


def test_any_failure_is_the_networks_and_the_sweep_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(name: str, folder: Path) -> zoo.Result:
        raise RuntimeError(f"{name} ran\nout of luck")

    monkeypatch.setattr(zoo, "OUTPUT", tmp_path)
    monkeypatch.setattr(zoo, "go_through", breaks)
    with ThreadPoolExecutor(1) as lane:
        results = list(zoo.sweep(["lenet5", "nin"], light=lane, heavy=lane))
    assert [result["passed"] for result in results] == [False, False]
    assert "lenet5                   FAILS: RuntimeError: lenet5 ran out of luck" in (
        capsys.readouterr().out
    )
    kept = json.loads((tmp_path / "nin.json").read_text(encoding="utf-8"))
    assert kept["cause"] == "RuntimeError: nin ran out of luck"
    assert zoo.known("nin") is None, "it is tried again"


def test_heavy_networks_wait_for_each_other_beside_the_light_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lanes = {}

    def passes(name: str, folder: Path) -> zoo.Result:
        lanes[name] = threading.current_thread().name.partition("_")[0]
        raise RuntimeError("seen")

    monkeypatch.setattr(zoo, "OUTPUT", tmp_path)
    monkeypatch.setattr(zoo, "go_through", passes)
    with (
        ThreadPoolExecutor(1, "light") as light,
        ThreadPoolExecutor(1, "heavy") as heavy,
    ):
        list(zoo.sweep(["vgg16", "lenet5", "alexnet", "resnet50"], light=light, heavy=heavy))
    assert lanes == {"vgg16": "heavy", "alexnet": "heavy", "lenet5": "light", "resnet50": "light"}


def test_a_detectors_boxes_are_recorded_and_told() -> None:
    result = {
        "name": "ssd",
        "passed": True,
        "wall_s": 3.0,
        "parity_rel": 1e-6,
        "sqnr_db": 20.0,
        "boxes": {"images": 3, "boxes": 40, "found": 38},
        "int8_bytes": 4_000_000,
    }
    assert "INT8 20.0 dB, 38 of 40 boxes again" in zoo.line(result, again=False)
    assert "boxes" not in zoo.line({**result, "boxes": None}, again=True)
