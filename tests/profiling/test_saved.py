"""A report that was saved says the same when it is read again; several become one."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgecnn.errors import DataError, FileError, UsageError
from edgecnn.profiling.merge import merged
from edgecnn.profiling.records import Around, Profile, Report
from edgecnn.profiling.report import (
    profile_document,
    profile_table,
    read_report,
    summarize,
    write_report,
)
from tests.profiling.made_up import DEVICE, made_up_profile, made_up_report, paired


def whole(profile: Profile) -> Profile:
    """With everything that can be saved."""
    measured = profile.measurement
    around = tuple(
        Around(
            started_s=2.0 * index,
            wall_ns=int(block.sum()) + 1000,
            waited_ns=17,
            energy_j=0.25,
            rested_s=0.5,
            state={"throttle_counts": {"CPU heat": 3}, "held_back": [], "clock_mhz": 2400.0},
        )
        for index, block in enumerate(measured.blocks)
    )
    own = dataclasses.replace(
        measured, around=around, session="2026-11-21T14:05:00", throttle_before={"CPU heat": 3}
    )
    return dataclasses.replace(
        profile,
        measurement=own,
        parameters=3_504_872,
        macs=300_774_272,
        energy={"sources": ["VDD_IN (INA3221)"], "idle_w": 2.5},
    )


FLOAT = whole(made_up_profile("mobilenetv2", "fp32", p50_ms=4.4, top1=0.72))
INT8 = whole(made_up_profile("mobilenetv2", "int8", p50_ms=2.1, top1=0.71))
INT8 = dataclasses.replace(INT8, accuracy=INT8.accuracy and paired(INT8.accuracy, FLOAT.file))


def report(*profiles: Profile, **device: object) -> Report:
    made = made_up_report(*(profiles or (FLOAT, INT8)))
    own = {**made.device, **device}
    return dataclasses.replace(made, device=own, device_after=dict(DEVICE), precision_asked=0.02)


def saved(tmp_path: Path, made: Report, name: str = "a.json") -> Path:
    write_report(summarize(made), tmp_path / name)
    return tmp_path / name


def test_what_is_saved_is_read_as_it_was(tmp_path: Path) -> None:
    made = report()
    read = read_report(saved(tmp_path, made))
    assert profile_document(summarize(read)) == profile_document(summarize(made))
    assert profile_table(summarize(read)) == profile_table(summarize(made))
    assert [each.measurement for each in read.profiles] == [FLOAT.measurement, INT8.measurement]


def test_marks_are_worked_out_anew(tmp_path: Path) -> None:
    path = saved(tmp_path, report())
    document = json.loads(path.read_text())
    for block in document["profiles"][0]["blocks"][6:]:
        block["state"]["throttle_counts"]["CPU heat"] = 5
    path.write_text(json.dumps(document))
    first, second = read_report(path).profiles
    assert (first.state, first.why) == ("throttled", "CPU heat: 2 times")
    assert second.state == "stable"


def test_an_emulated_run_stays_one(tmp_path: Path) -> None:
    emulated = dataclasses.replace(FLOAT, state="emulated", why="qemu-aarch64")
    (read,) = read_report(saved(tmp_path, report(emulated))).profiles
    assert (read.state, read.why) == ("emulated", "qemu-aarch64")


def _without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["profiles"][0].pop(key)


def _set(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["profiles"][0].update({key: value})


@pytest.mark.parametrize(
    "damage",
    [
        lambda document: document.update(format=2),
        lambda document: document.update(profiles=[]),
        lambda document: document.update(profiles=None),
        lambda document: document.update(created="yesterday"),
        lambda document: document.pop("device"),
        lambda document: document.update(precision_asked=0),
        _without("samples_ns"),
        _without("contract"),
        _set("samples_ns", [1, 2, 3]),
        _set("samples_ns", "many"),
        _set("block_runs", [0] * 12),
        _set("blocks", [{}]),
        _set("contract", {"format": 1}),
        _set("accuracy", {"top1": 70}),
        _set("batch", True),
        _set("boundary", "anything"),
        _set("samples_ns", [10**18] * 600),
        _set("size_bytes", -1),
        _set("load_ms", "40"),
        _set("energy_mj", {"sources": [], "idle_w": "a watt"}),
        lambda document: document.update(blocks_missing=-1),
        lambda document: document["device"].update(clock_mhz="fast"),
        lambda document: document["device"].update(versions=None),
        lambda document: document["device_after"].update(isa=None),
        lambda document: document["profiles"][0]["accuracy"]["top1"].update(value=101),
        lambda document: document["profiles"][0]["accuracy"]["top1"].update(low=99),
        lambda document: document["profiles"][0]["accuracy"].update(n=0),
        lambda document: document["profiles"][0].update(boundary="throughput", blocks=[]),
        lambda document: document["profiles"][0].update(
            samples_ns=[1, 2, 3], block_runs=[1, 1, 1], blocks=[]
        ),
    ],
)
def test_what_is_no_saved_profile_is_refused_by_name(
    damage: Callable[[dict[str, Any]], object], tmp_path: Path
) -> None:
    path = saved(tmp_path, report())
    document = copy.deepcopy(json.loads(path.read_text()))
    damage(document)
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"a\.json"):
        read_report(path)


def test_what_another_command_wrote_is_told_by_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"format": 1, "results": []}')
    with pytest.raises(DataError, match=r"not a whole saved profile \(no 'device' in it\)"):
        read_report(tmp_path / "a.json")


@pytest.mark.parametrize("number", ["1e400", "NaN", "Infinity", "9" * 400])
@pytest.mark.parametrize("key", ["cpu_share", "size_bytes", "load_ms"])
def test_no_number_is_endless(number: str, key: str, tmp_path: Path) -> None:
    path = saved(tmp_path, report())
    document = json.loads(path.read_text())
    document["profiles"][0][key] = "HERE"
    path.write_text(json.dumps(document).replace('"HERE"', number))
    with pytest.raises(DataError, match=r"a\.json: not JSON"):
        read_report(path)


def test_no_word_in_it_steers_a_terminal_or_cannot_be_written(tmp_path: Path) -> None:
    path = saved(tmp_path, report())
    evil = "\x1b[2J\ud800"
    document = json.loads(path.read_text())
    document["mixed"] = [evil]
    document["device"] |= {"name": evil, "cpu": evil}
    for each in document["profiles"]:
        each |= {"file": evil, "engine": evil, "sha256": evil, "origin": evil}
        each["energy_mj"] = {"unavailable": evil}
    path.write_text(json.dumps(document))
    summary = summarize(read_report(path))
    for name in ("b.md", "b.csv", "b.json"):
        write_report(summary, tmp_path / name)
        assert "\x1b" not in (tmp_path / name).read_text(encoding="utf-8")
    assert "\x1b" not in profile_table(summary)


@pytest.mark.parametrize("text", ["", "[]", "7", "{", "\x00", "[" * 100_000])
def test_so_is_any_other_file(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"a\.json"):
        read_report(path)
    with pytest.raises(FileError):
        read_report(tmp_path / "nowhere.json")


# Several as one


def test_reports_of_one_device_in_one_state_become_one() -> None:
    both = merged((report(), report()), ("before", "after"), allow_mixed=False)
    rows = summarize(both).rows
    assert [row.name for row in rows] == [
        "mobilenetv2.fp32.onnx, before", "mobilenetv2.int8.onnx, before",
        "mobilenetv2.fp32.onnx, after", "mobilenetv2.int8.onnx, after",
    ]  # fmt: skip
    assert [row.against for row in rows] == [None, rows[0].name, rows[0].name, rows[2].name]
    assert both.mixed == ()


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (report(governor="powersave"), "governor: performance in a, powersave in b"),
        (report(cpu="Cortex-A72"), "cpu: Cortex-A76 in a, Cortex-A72 in b"),
        (report(power_mode="15W"), "power_mode: not told in a, 15W in b"),
        (report(versions={"numpy": "2.4"}), "numpy: not told in a, 2.4 in b"),
        (
            report(dataclasses.replace(FLOAT, measurement=dataclasses.replace(
                FLOAT.measurement, threads=4))),
            "threads: 1 in a, 4 in b",
        ),
        (
            report(dataclasses.replace(FLOAT, measurement=dataclasses.replace(
                FLOAT.measurement, boundary="frame"))),
            "a run is: engine in a, frame in b",
        ),
    ],
)  # fmt: skip
def test_what_was_not_measured_alike_is_refused_and_told(other: Report, told: str) -> None:
    with pytest.raises(UsageError, match=told) as raised:
        merged((report(), other), ("a", "b"), allow_mixed=False)
    assert "--allow-mixed" in raised.value.hint
    mixed = merged((report(), other), ("a", "b"), allow_mixed=True)
    assert told in mixed.mixed
    assert f"Not measured alike: {told}" in " ".join(profile_table(summarize(mixed)).split())


def test_one_report_is_left_as_it_is() -> None:
    assert merged((report(),), ("a",), allow_mixed=False) == report()
