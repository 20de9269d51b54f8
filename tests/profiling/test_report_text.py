"""The report on a terminal: plain text, at most 100 columns, no more digits than are known."""

from __future__ import annotations

import dataclasses

import pytest

from edgecnn.profiling.report import device_line, evaluation_table, profile_table, summarize
from edgecnn.profiling.report.words import decimals, value_and_error
from edgecnn.profiling.statistics import Interval
from tests.profiling.made_up import (
    DEVICE,
    made_up_evaluation,
    made_up_profile,
    made_up_report,
    paired,
)

FLOAT = made_up_profile("mobilenetv2", "fp32", p50_ms=4.4, top1=0.72)
INT8 = made_up_profile("mobilenetv2", "int8", p50_ms=2.1, top1=0.71)
BIG = made_up_profile("resnet50", "int8", p50_ms=12, top1=0.80)
SLOW = made_up_profile("vgg16", "int8", p50_ms=41, top1=0.70, runs=8)


def told(*profiles: object) -> str:
    return profile_table(summarize(made_up_report(*profiles)))  # type: ignore[arg-type]


def test_a_table_with_a_row_for_each_file_and_what_follows_from_it() -> None:
    text = told(FLOAT, INT8, BIG, SLOW)
    head, *rows = text.split("\n\n")[0].splitlines()
    assert head.split() == ["p50", "ms", "p90", "p99", "top-1", "%", "file", "against", "FP32"]
    assert [row.split("  ")[0] for row in rows] == [
        "mobilenetv2 fp32", "mobilenetv2 int8", "resnet50 int8", "vgg16 int8",
    ]  # fmt: skip
    assert "72.0 ±3.0" in rows[0]
    assert "x faster (" in rows[1]
    assert "faster" not in rows[2], "resnet50 has no float file to be compared with"
    assert "363 more" in rows[3], "96 runs make no p99"
    assert "On the front: mobilenetv2 fp32, mobilenetv2 int8, resnet50 int8." in text
    assert "vgg16 int8 is slower and less accurate than resnet50 int8." in text
    assert "No p99 from 96 runs: 459 are needed for one that holds;" in text
    assert text.endswith("State: stable.")


def test_no_line_is_longer_than_100_columns() -> None:
    names = [f"a_network_with_quite_a_long_name_of_variant_{index:03d}" for index in range(14)]
    many = [
        made_up_profile(name, precision, p50_ms=150.0 + index, top1=0.7)
        for index, name in enumerate(names)
        for precision in ("fp32", "int8")
    ]
    assert max(map(len, told(*many).splitlines())) <= 100


def test_where_no_file_has_its_float_twin_the_first_one_is_the_measure() -> None:
    text = told(BIG, SLOW)
    assert text.splitlines()[0].endswith("against the first file")
    assert "x slower" in text


def test_names_cannot_steer_the_terminal() -> None:
    text = told(made_up_profile("\x1b[2Jnet\n\x07", "fp32", p50_ms=1))
    assert not set(text) & {"\x1b", "\x07", "\r"}
    assert len(text.split("\n\n")[0].splitlines()) == 2


def test_one_file_is_simply_told() -> None:
    text = told(made_up_profile("lenet5", "fp32", p50_ms=0.021))
    assert "lenet5 fp32 takes 0.021" in text
    assert "against" not in text
    assert "front" not in text


def test_the_drop_is_told_beside_the_speed() -> None:
    evaluation = paired(made_up_evaluation(INT8.file, "int8", 0.719), FLOAT.file)
    text = told(FLOAT, dataclasses.replace(INT8, accuracy=evaluation))
    assert "its top-1 drops by 0.1 points (-0.2 to 0.4)" in " ".join(text.split())


def test_random_weights_have_no_accuracy_even_if_one_is_published() -> None:
    said = {"weights": {"source": "random"}, "published": {"top1": 71.9, "source": "paper"}}
    text = told(made_up_profile("vgg16", "fp32", p50_ms=150, provenance=said))
    assert "random weights" in text
    assert "71.9" not in text


def test_published_accuracy_is_told_as_such_and_only_for_the_float_file() -> None:
    said = {"published": {"top1": 71.6, "source": "torchvision"}}
    text = told(
        made_up_profile("vgg16", "fp32", p50_ms=150, provenance=said),
        made_up_profile("vgg16", "int8", p50_ms=41, provenance=said),
    )
    assert text.count("published 71.6") == 1


def test_a_marked_run_and_a_busy_machine_are_told() -> None:
    drifting = dataclasses.replace(INT8, state="drifting")
    busy = dataclasses.replace(
        drifting, measurement=dataclasses.replace(INT8.measurement, cpu_share=0.41)
    )
    text = told(FLOAT, busy)
    assert "Not a steady run: mobilenetv2 int8 drifting." in text
    assert "Others took the CPU: runs had 41 % of their core's time." in text
    assert "State: stable." not in text


def test_many_marked_runs_are_named_by_three_and_counted() -> None:
    slow = [
        dataclasses.replace(
            made_up_profile(f"net{index}", kind, p50_ms=4),
            state="throttled",
            why="hot",
        )
        for index in range(4)
        for kind in ("fp32", "int8")
    ]
    text = told(*slow).replace("\n", " ")
    assert "net1 fp32 throttled (hot), and 5 more throttled." in text
    assert "4 files were not compared: throttled." in text


def test_what_was_not_compared_is_told_once_of_few_files_too() -> None:
    pairs = [made_up_profile("net", kind, p50_ms=4) for kind in ("fp32", "int8", "fp16")]
    marked = [dataclasses.replace(each, state="throttled", why="hot") for each in pairs]
    text = told(*marked).split("\n\n")[1]
    assert text.startswith("2 files were not compared: throttled.\nNot a steady run:")


def test_what_is_one_is_told_as_one() -> None:
    pairs = [
        made_up_profile(f"net{index}", kind, p50_ms=4)
        for index in range(4)
        for kind in ("fp32", "int8")
    ]
    faster = made_up_profile("net0", "int8", p50_ms=2)
    marked = dataclasses.replace(pairs[-1], state="throttled", why="hot")
    one = dataclasses.replace(
        made_up_report(pairs[0], faster, *pairs[2:-1], marked), blocks_missing=1
    )
    text = " ".join(profile_table(summarize(one)).split())
    assert "net3 int8 was not compared with net3 fp32: throttled." in text
    assert "1 of 3 differences holds at 99 %." in text
    assert "Interrupted: 1 block fewer than planned." in text
    assert "1 core;" in device_line({**DEVICE, "cores": 1, "isa": []})


def test_medians_that_the_time_did_not_suffice_for_are_named() -> None:
    blocks = [(1.0 + 0.05 * (index % 3)) * 1e6 for index in range(12)]
    rough = dataclasses.replace(
        SLOW.measurement,
        latencies_ns=tuple(int(level) for level in blocks for _ in range(40)),
        block_runs=(40,) * 12,
    )
    made = made_up_report(FLOAT, dataclasses.replace(SLOW, measurement=rough))
    asked = dataclasses.replace(made, precision_asked=0.02)
    text = profile_table(summarize(asked))
    assert "Known less well than to the 2 % asked for: vgg16 int8 (4.8 %)." in text
    assert "Known less well" not in profile_table(summarize(made)), "nobody noted what was asked"


def test_many_comparisons_become_one_sentence() -> None:
    profiles = [
        made_up_profile(f"net{index}", precision, p50_ms=4 if precision == "fp32" else 2)
        for index in range(5)
        for precision in ("fp32", "int8")
    ]
    text = told(*profiles)
    assert "times as fast as FP32; 5 of 5 differences hold at 99 %." in " ".join(text.split())


def test_accuracies_in_a_table_and_flips_in_a_sentence() -> None:
    plain = made_up_evaluation("fp32.onnx", "fp32", 0.72)
    other = paired(made_up_evaluation("int8.onnx", "int8", 0.719), "fp32.onnx")
    text = evaluation_table([plain, plain, other])
    assert text.count("\n\n") == 1
    assert "\n\n\n" not in text
    assert "72.0 ±3.0" in text
    assert "1,000" in text
    flat = " ".join(text.split())
    assert "7 right to wrong, 6 wrong to right, p = 1; they agree on 98.0 %." in flat


def test_the_device_in_one_line() -> None:
    line = device_line(DEVICE)
    assert line == (
        "Raspberry Pi 5 Model B Rev 1.0, Cortex-A76, 4 cores, dot product;"
        " governor performance, 2400 MHz, 48 °C"
    )


def test_what_a_device_does_not_tell_is_told_as_that() -> None:
    unknown = dict.fromkeys(DEVICE, "unavailable: virtual machine")
    line = device_line({**unknown, "cpu": "AMD EPYC", "cores": 2, "isa": ["avx512_vnni"]})
    assert line == "AMD EPYC, 2 cores, AVX512-VNNI; governor unavailable: virtual machine"


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(4.401, 4.36, 4.44), "4.40 ±0.04"),
        (Interval(153.2, 151.0, 155.0), "153 ±2"),
        (Interval(0.02134, 0.0211, 0.0216), "0.0213 ±0.0003"),
        (Interval(12.0, 12.0, 12.0), "12.00 ±0.00"),
    ],
)
def test_no_more_digits_than_are_known(interval: Interval, text: str) -> None:
    assert value_and_error(interval) == text
    assert 0 <= decimals(interval.half_width) <= 4
