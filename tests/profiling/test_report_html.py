"""The HTML report: one file, no network, drawn by a real browser, and nobody's words run in it."""

from __future__ import annotations

import dataclasses
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors import FileError
from edgecnn.profiling.layers import TimedLayers
from edgecnn.profiling.records import Around, Profile
from edgecnn.profiling.report import html_page, report_name, summarize, write_html
from edgecnn.profiling.report.latencies import latency_plot
from tests.profiling.made_up import LAYERS, made_up_profile, made_up_report, with_layers

STRANGER = "</script><img src=x onerror=alert(1)>\x1b[31m\udcff'\"&"


def on_a_board(profile: Profile) -> Profile:
    """The same with all that a board tells: clock, heat, energy, waiting; and how large it is."""
    measured = profile.measurement
    states = ({"clock_mhz": 2400.0 - 100 * i, "temperature_c": 50.0 + i} for i in range(12))
    around = tuple(
        Around(
            started_s=2.0 * i,
            wall_ns=int(block.sum()),
            waited_ns=1000,
            energy_j=0.5 + block.sum() / 1e9,
            state={"throttle_counts": {}, "held_back": [], **state},
        )
        for i, (block, state) in enumerate(zip(measured.blocks, states, strict=True))
    )
    return dataclasses.replace(
        profile,
        measurement=dataclasses.replace(measured, around=around),
        parameters=3_500_000,
        macs=300_000_000,
        energy={"sources": ["VDD_IN (INA3221)"], "idle_w": 0.5},
    )


PROFILES = (
    with_layers(on_a_board(made_up_profile("mobilenetv2", "fp32", p50_ms=4.4, top1=0.72))),
    with_layers(made_up_profile("mobilenetv2", "int8", p50_ms=2.1, top1=0.71)),
    made_up_profile("resnet50", "fp32", p50_ms=38, top1=0.81),
    made_up_profile("resnet50", "int8", p50_ms=12, top1=0.80),
    made_up_profile("vgg16", "int8", p50_ms=41, top1=0.70, runs=8),
)


def page_of(*profiles: Profile) -> str:
    return html_page(summarize(made_up_report(*profiles)))


@pytest.fixture(scope="module")
def page() -> str:
    return page_of(*PROFILES)


def words(page: str) -> str:
    """What a person can read and select, without tags and scripts."""
    body = re.sub(r"(?s)<(script|style).*?</\1>", " ", page)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


# The file


def test_it_says_what_was_measured_where_and_when(page: str) -> None:
    text = words(page)
    assert "Accuracy and latency on Raspberry Pi 5 Model B Rev 1.0" in text
    assert "21 November 2026, 14:05 UTC" in text
    assert "x faster" in text
    assert "On the front: mobilenetv2 fp32, mobilenetv2 int8, resnet50 fp32, resnet50 int8." in text


def test_every_number_of_the_plots_is_in_the_text(page: str) -> None:
    text = words(page)
    for expected in ("72.0 ±3.0", "14 MB", "p50 4.4", "p90", "600 runs", "stable"):
        assert expected in text


def test_what_the_device_does_not_tell_is_told_with_its_reason(page: str) -> None:
    text = words(page)
    assert "load before unavailable: no /proc/loadavg" in text
    assert "governor performance" in text


def test_it_asks_nothing_of_any_network(page: str) -> None:
    assert "default-src 'none'" in page
    assert not re.search(r"""(?:src|href)\s*=\s*["']?\s*(?:https?:)?//""", without_library(page))
    assert "@import" not in without_library(page)


def test_the_plotting_library_is_in_it_once(page: str) -> None:
    assert page.count("vega-embed") < 50
    assert 500_000 < len(page) < 1_500_000


def test_strangers_words_are_only_words() -> None:
    page = page_of(
        made_up_profile(STRANGER, "fp32", p50_ms=4.4, top1=0.7),
        made_up_profile(STRANGER, "int8", p50_ms=2.1, top1=0.7),
        made_up_profile("$title ${css}", "fp32", p50_ms=2.1, top1=0.7),
    )
    assert "<img" not in without_library(page)
    assert "\x1b" not in page
    assert "<img src=x onerror=alert(1)>" in words(page)
    assert "$title ${css} fp32" in words(page)
    page.encode("utf-8")


def test_without_accuracy_it_says_so_and_shows_latency() -> None:
    page = page_of(made_up_profile("lenet5", "fp32", p50_ms=0.02))
    assert "Latency on Raspberry Pi" in page
    assert "Accuracy was not measured" in page
    assert "Accuracy against latency" not in page


def test_no_interval_of_a_latency_reaches_beyond_its_plot() -> None:
    # Of ten runs in ten blocks the median may lie higher than nine of them.
    slow = made_up_profile("vgg16", "fp32", p50_ms=300)
    samples = tuple(int(ms * 1e6) for ms in (300, 310, 290, 320, 305, 295, 315, 308, 297, 460))
    measured = dataclasses.replace(
        slow.measurement, latencies_ns=samples, block_runs=(1,) * len(samples)
    )
    summary = summarize(made_up_report(dataclasses.replace(slow, measurement=measured)))
    plot = latency_plot(summary)
    (file,) = plot["data"]["values"]
    assert file["high"] > file["p90"]
    assert plot["layer"][0]["encoding"]["x"]["scale"]["domain"][1] > file["high"]


def test_files_without_accuracy_are_named_beside_the_plot() -> None:
    page = page_of(*PROFILES, made_up_profile("lenet5", "fp32", p50_ms=0.02))
    assert "Not shown, without measured accuracy: lenet5 fp32." in page


def test_what_a_board_tells_over_time_is_drawn_and_what_it_does_not_is_said(page: str) -> None:
    assert "The measurement over time" in words(page)
    assert "Not told by this device" not in page
    assert "% from their file's; clock, MHz: 1300 to 2400; hottest, °C: 50 to 61;" in words(page)
    assert "VDD_IN (INA3221); net is less the 0.5 W of the device at rest" in words(page)
    silent = on_a_board(made_up_profile("net", "fp32", p50_ms=4))
    around = tuple(
        dataclasses.replace(each, state={"clock_mhz": "unavailable: virtual machine"})
        for each in silent.measurement.around
    )
    measured = dataclasses.replace(silent.measurement, around=around)
    text = words(page_of(dataclasses.replace(silent, measurement=measured)))
    assert "Not told by this device: clock, MHz; hottest, °C." in text
    assert "The measurement over time" not in words(page_of(*PROFILES[1:]))


def test_throughput_has_a_column_and_an_axis() -> None:
    profile = on_a_board(made_up_profile("net", "fp32", p50_ms=4, top1=0.7))
    measured = dataclasses.replace(profile.measurement, boundary="throughput", streams=2)
    page = page_of(dataclasses.replace(profile, measurement=measured))
    assert "images/s" in words(page)
    assert "time for an image with all streams busy" in page


def test_layers_are_a_table_with_what_they_reach(page: str) -> None:
    text = words(page)
    assert "mobilenetv2 fp32: 3 layers, 4 of the 4.2 ms of a run under the profiler" in text
    assert "1 /conv Conv fp32 3.000 75.0% 90 3,000 30 1 compute 100 %" in text
    assert "2 <pool> MaxPool fp32 0.500" in text, "strangers' words are only words"
    assert "Where the time of a run goes" not in words(page_of(*PROFILES[2:]))
    missing = TimedLayers(unavailable="tensorrt: its profiler is not read here")
    text = words(page_of(with_layers(PROFILES[2], missing)))
    assert "resnet50 fp32: unavailable: tensorrt: its profiler is not read here" in text


def test_layers_of_many_files_are_folded_away(page: str) -> None:
    assert len(re.findall(r"<details [^>]*open", page)) == 2
    many = [with_layers(made_up_profile(f"net{i}", "fp32", p50_ms=4)) for i in range(3)]
    assert page_of(*many).count("<details") == 3
    assert not re.findall(r"<details [^>]*open", page_of(*many))


def test_published_accuracy_stands_apart_with_its_source() -> None:
    said = {"published": {"top1": 71.6, "source": "torchvision <V1>"}}
    page = page_of(made_up_profile("vgg16", "fp32", p50_ms=150, provenance=said))
    assert "<i>published 71.6</i>" in page
    assert "vgg16 fp32: 71.6 % (torchvision <V1>)" in words(page)


def test_why_a_run_is_marked_stands_on_the_page() -> None:
    marked = made_up_profile("net", "fp32", p50_ms=4, state="throttled")
    text = words(page_of(dataclasses.replace(marked, why="CPU heat: 3 times")))
    assert "Not a steady run: net fp32 throttled (CPU heat: 3 times)." in text


def test_what_was_different_after_the_measurement_is_told() -> None:
    report = made_up_report(PROFILES[0])
    report = dataclasses.replace(report, device_after={**report.device, "temperature_c": 71.5})
    text = words(html_page(summarize(report)))
    assert "hottest sensor, °C 48.3; after the measurement 71.5" in text


def test_twenty_files_of_5000_samples_make_a_small_page() -> None:
    layers = TimedLayers(LAYERS.layers * 40, 4.1, 4.2, 100)
    many = [
        on_a_board(made_up_profile(f"net{index}", "fp32", p50_ms=4 + index, top1=0.7, runs=417))
        for index in range(20)
    ]
    assert len(page_of(*(with_layers(each, layers) for each in many))) < 8_000_000


def test_runs_beyond_a_plot_are_counted_in_words() -> None:
    profile = made_up_profile("net", "fp32", p50_ms=4)
    latencies = np.array(profile.measurement.latencies_ns)
    latencies[[5, 300]] = 90_000_000
    measured = dataclasses.replace(
        profile.measurement, latencies_ns=tuple(int(value) for value in latencies)
    )
    text = words(page_of(dataclasses.replace(profile, measurement=measured)))
    assert "2 runs lie beyond the plot" in text
    assert "slowest 90.0" in text


def test_it_is_named_after_its_time_and_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    summary = summarize(made_up_report(*PROFILES))
    assert report_name(summary.report.created) == "profile-20261121-1405.html"
    write_html(summary, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8").endswith("</html>\n")
    with pytest.raises(FileError):
        write_html(summary, tmp_path / "nowhere" / "report.html")


def without_library(page: str) -> str:
    """The page without its scripts, which name many addresses."""
    return re.sub(r"(?s)<script>.*?</script>", "", page)
