"""Layers of a profile: their rates, the roofs that were reached, and the forms of both."""

from __future__ import annotations

import copy
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.errors import DataError, UsageError
from edgecnn.profiling.layers import Place, Roofs, TimedLayer, TimedLayers, roofs_of
from edgecnn.profiling.report import (
    profile_document,
    profile_table,
    read_report,
    summarize,
    write_report,
    write_trace,
)
from edgecnn.profiling.report.plain import markdown
from edgecnn.profiling.report.trace import chrome_trace
from tests.profiling.made_up import LAYERS, made_up_profile, made_up_report, with_layers

CONV, POOL, ODD = LAYERS.layers


def profile(precision: str, found: TimedLayers = LAYERS) -> Any:
    return with_layers(made_up_profile("net", precision, p50_ms=4), found)


SUMMARY = summarize(made_up_report(profile("fp32"), profile("int8")))


def test_rates_are_work_over_time() -> None:
    assert CONV.gmac_per_s == pytest.approx(30)  # 90 M in 3 ms
    assert CONV.gb_per_s == pytest.approx(1)
    assert CONV.intensity == pytest.approx(30)
    assert POOL.gmac_per_s is None
    assert POOL.gb_per_s == pytest.approx(2)
    assert (ODD.gmac_per_s, ODD.gb_per_s, ODD.intensity) == (None, None, None)


def test_the_roof_is_the_best_that_layers_reached() -> None:
    half = TimedLayer("half", (), "Conv", "fp32", 2.0, macs=30_000_000, moved_bytes=2_000_000)
    roofs = roofs_of([*LAYERS.layers, half])
    assert roofs == Roofs({"fp32": pytest.approx(30)}, pytest.approx(2))  # type: ignore[dict-item, arg-type]
    assert roofs.place(CONV) == Place("compute", pytest.approx(1))  # type: ignore[arg-type]
    assert roofs.place(half) == Place("compute", pytest.approx(0.5))  # type: ignore[arg-type]
    assert roofs.place(POOL) == Place("memory", pytest.approx(1))  # type: ignore[arg-type]
    assert roofs.place(ODD) is None


def test_a_layer_too_short_to_time_sets_no_roof_and_pierces_none() -> None:
    short = TimedLayer("short", (), "Conv", "fp32", 0.001, macs=90_000_000, moved_bytes=9_000)
    roofs = roofs_of([CONV, short])
    assert roofs.gmac_per_s["fp32"] == pytest.approx(30)
    assert roofs.place(short) == Place("compute", 1.0)


def test_each_precision_has_a_roof_of_its_own() -> None:
    fast = TimedLayer("fast", (), "QConv", "int8", 1.0, macs=90_000_000, moved_bytes=1_000_000)
    roofs = roofs_of([CONV, fast])
    assert roofs.place(CONV) == Place("compute", pytest.approx(1))  # type: ignore[arg-type]
    assert roofs.place(fast) == Place("compute", pytest.approx(1))  # type: ignore[arg-type]


# Their forms


def test_layers_are_saved_and_read_as_they_were(tmp_path: Path) -> None:
    write_report(SUMMARY, tmp_path / "a.json")
    read = summarize(read_report(tmp_path / "a.json"))
    assert read.rows[0].layers == LAYERS
    assert profile_document(read) == profile_document(SUMMARY)
    document = profile_document(SUMMARY)["profiles"][0]["layers"]["layers"][0]
    assert document["roof"] == {"bound": "compute", "share": 1.0}


def test_reports_that_know_no_layers_are_read(tmp_path: Path) -> None:
    document = profile_document(SUMMARY)
    document["profiles"][0].pop("layers")
    document["profiles"][1]["layers"] = {"unavailable": "tensorrt: its profiler is not read here"}
    (tmp_path / "old.json").write_text(json.dumps(document))
    first, second = read_report(tmp_path / "old.json").profiles
    assert first.layers is None
    assert second.layers is not None
    told = profile_table(summarize(read_report(tmp_path / "old.json"))).replace("\n", " ")
    assert "Layers of net int8: unavailable: tensorrt: its profiler is not read here." in told


@pytest.mark.parametrize(
    "damage",
    [
        lambda layers: layers.pop("run_ms"),
        lambda layers: layers.update(run_ms=0),
        lambda layers: layers["layers"][0].update(time_ms="1"),
        lambda layers: layers["layers"][0].update(macs=-1),
        lambda layers: layers["layers"][0].update(nodes=None),
    ],
)
def test_damaged_layers_are_refused(damage: Callable[[Any], object], tmp_path: Path) -> None:
    document = copy.deepcopy(profile_document(SUMMARY))
    damage(document["profiles"][0]["layers"])
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="not a whole saved profile"):
        read_report(tmp_path / "a.json")


def test_the_text_names_the_longest_layers() -> None:
    told = " ".join(profile_table(SUMMARY).split())
    assert "Of 3 layers of net fp32 the longest are /conv 75 % and <pool> 12 %." in told


def test_a_single_layer_is_told_as_one() -> None:
    single = TimedLayers(LAYERS.layers[:1], 4.0, 4.2, 100)
    told = profile_table(summarize(made_up_report(profile("fp32", single))))
    assert "The one layer of net fp32 is /conv 100 %." in told


def test_markdown_shows_the_longest_and_counts_the_rest() -> None:
    text = markdown(SUMMARY)
    (line,) = [line for line in text.splitlines() if line.startswith("| /conv |")][:1]
    assert line == "| /conv | Conv fp32 | 3.000 | 75.0% | 90 | 3,000 | 30 | 1 | compute 100 % |"
    one_more = TimedLayers(LAYERS.layers[1:2] * 11, 4.0, 4.2, 100)
    told = markdown(summarize(made_up_report(profile("fp32", one_more))))
    assert "1 more takes 0.500 ms." in told
    many = TimedLayers(LAYERS.layers * 5, 4.0, 4.2, 100)
    assert "5 more take 2.500 ms." in markdown(summarize(made_up_report(profile("fp32", many))))


def test_csv_has_its_layers_beside_it(tmp_path: Path) -> None:
    write_report(SUMMARY, tmp_path / "a.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "a.layers.csv").read_text())))
    assert len(rows) == 6
    assert (rows[0]["name"], rows[0]["layer"], rows[0]["bound"]) == ("net fp32", "/conv", "compute")
    assert float(rows[0]["gmac_per_s"]) == pytest.approx(30)
    assert rows[2]["layer"] == "'=odd", "no cell is a formula"
    assert rows[2]["macs"] == rows[2]["roof_share"] == ""
    bare = summarize(made_up_report(made_up_profile("net", "fp32", p50_ms=4)))
    write_report(bare, tmp_path / "b.csv")
    assert not (tmp_path / "b.layers.csv").exists()


def test_a_trace_puts_the_layers_one_behind_the_other(tmp_path: Path) -> None:
    write_trace(SUMMARY, tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    named = {each["pid"]: each["args"]["name"] for each in events if each["name"] == "process_name"}
    assert named == {1: "net fp32", 2: "net int8"}
    spans = [each for each in events if each["ph"] == "X" and each["pid"] == 1]
    run, *layers = spans
    assert (run["ts"], run["dur"]) == (0, 4200)
    assert [(each["name"], each["ts"], each["dur"]) for each in layers] == [
        ("/conv", 0, 2999.999), ("<pool>", 3000, 499.999), ("=odd", 3500, 499.999),
    ]  # fmt: skip
    assert layers[0]["args"]["GMAC/s"] == pytest.approx(30)
    assert "MACs" not in layers[2]["args"], "what is not known is not there"


METADATA = {
    "process_name": {"name"}, "thread_name": {"name"}, "process_sort_index": {"sort_index"},
}  # fmt: skip


def test_each_event_of_a_trace_has_the_fields_that_the_format_asks_for() -> None:
    document = json.loads(chrome_trace(SUMMARY))
    assert set(document) == {"traceEvents", "displayTimeUnit", "otherData"}
    assert document["displayTimeUnit"] in ("ms", "ns"), "there is no other"
    for event in document["traceEvents"]:
        assert {"ph", "name", "pid", "tid", "args"} <= set(event)
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        if event["ph"] == "X":
            assert min(event["ts"], event["dur"]) >= 0
            assert isinstance(event["cat"], str)
        else:
            assert event["ph"] == "M"
            assert {event["name"]: set(event["args"])}.items() <= METADATA.items()


@given(st.lists(st.floats(0.0002, 50), min_size=1, max_size=60), st.floats(0.0, 100))
def test_perfetto_drops_no_layer_of_a_trace(times_ms: list[float], profiled_ms: float) -> None:
    # It makes whole ns of the us, cutting off what is left, and drops a slice that begins within
    # another one and ends behind it (its slice_drop_overlapping_complete_event).
    layers = tuple(TimedLayer("conv", (), "Conv", "fp32", each) for each in times_ms)
    found = TimedLayers(layers, profiled_ms, profiled_ms, 100)
    events = json.loads(chrome_trace(summarize(made_up_report(profile("fp32", found)))))
    slices = [(int(each["ts"] * 1000), int(each["dur"] * 1000))
              for each in events["traceEvents"] if each["ph"] == "X"]  # fmt: skip
    assert len(slices) == 1 + len(layers)
    (_, whole_ns), *parts = slices
    ends_ns = [start_ns + time_ns for start_ns, time_ns in parts]
    assert all(end <= start for end, (start, _) in zip(ends_ns, parts[1:], strict=False))
    assert ends_ns[-1] <= whole_ns


def test_without_layers_there_is_no_trace(tmp_path: Path) -> None:
    bare = summarize(made_up_report(made_up_profile("net", "fp32", p50_ms=4)))
    with pytest.raises(UsageError, match="no layers were timed"):
        write_trace(bare, tmp_path / "trace.json")
    assert not list(tmp_path.iterdir())
