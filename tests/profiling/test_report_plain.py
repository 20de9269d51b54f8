"""Markdown, CSV and pictures of a report."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from edgecnn.errors import UsageError
from edgecnn.profiling.report import summarize, write_plot, write_report
from edgecnn.profiling.report.plain import csv_table, markdown
from tests.profiling.made_up import made_up_profile, made_up_report

PROFILES = (
    made_up_profile("mobilenetv2", "fp32", p50_ms=4.4, top1=0.72),
    made_up_profile("mobilenetv2", "int8", p50_ms=2.1, top1=0.71),
    made_up_profile("vgg16", "int8", p50_ms=41, runs=8),
)
SUMMARY = summarize(made_up_report(*PROFILES))
STRANGER = summarize(made_up_report(made_up_profile("=cmd|' /c calc'!A", "fp32", p50_ms=1)))


def test_markdown_holds_the_table_and_the_sentences() -> None:
    text = markdown(SUMMARY)
    lines = text.splitlines()
    assert lines[0].startswith("2026-11-21 14:05, Raspberry Pi 5")
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + len(PROFILES)
    assert len({row.count("|") for row in rows}) == 1
    assert "x faster" in text
    assert "On the front" in text


def test_strangers_words_are_no_markup() -> None:
    summary = summarize(made_up_report(made_up_profile("a|b<script>[x](y)", "fp32", p50_ms=1)))
    row = next(line for line in markdown(summary).splitlines() if "script" in line)
    assert r"a\|b\<script\>\[x\](y)" in row


def test_csv_has_a_line_for_each_file_and_numbers_that_parse() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_table(SUMMARY))))
    assert [row["name"] for row in rows] == ["mobilenetv2 fp32", "mobilenetv2 int8", "vgg16 int8"]
    first, second, third = rows
    assert float(first["p50_ms_low"]) <= float(first["p50_ms"]) <= float(first["p50_ms_high"])
    assert float(first["top1_percent"]) == 72
    assert float(second["times_faster"]) == pytest.approx(2.1, rel=0.05)
    assert third["p99_ms"] == third["top1_percent"] == third["energy_net_mj"] == ""


def test_no_cell_is_a_formula() -> None:
    (row,) = csv.DictReader(io.StringIO(csv_table(STRANGER)))
    assert row["name"].startswith("'=cmd")


@pytest.mark.parametrize("accurate", [True, False])
def test_a_plot_is_a_picture(accurate: bool, tmp_path: Path) -> None:
    summary = summarize(made_up_report(*(PROFILES[:2] if accurate else PROFILES[2:])))
    write_plot(summary, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    write_plot(summary, tmp_path / "plot.svg")
    drawn = (tmp_path / "plot.svg").read_text()
    assert drawn.startswith("<svg")
    assert "var(--" not in drawn, "no page is there to give its colours"


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.png or \.svg"):
        write_plot(SUMMARY, tmp_path / "plot.jpeg")
    with pytest.raises(UsageError, match=r"not \.pdf"):
        write_report(SUMMARY, tmp_path / "report.pdf")
    assert not list(tmp_path.iterdir())
