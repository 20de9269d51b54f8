"""Boards are known by what their device trees say, and read through their sensors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgecnn.runtime.board import Board, identify, read_board
from edgecnn.runtime.facts import device_facts
from edgecnn.runtime.sensors import (
    board_facts,
    clocks_pinned,
    pi_throttling,
    power_mw,
    tegra_throttling,
    temperatures_c,
    total_power_mw,
)
from tests.runtime import trees


@pytest.mark.parametrize(
    ("tree", "machine", "kind", "title"),
    [
        (trees.NANO, "aarch64", "jetson", "Jetson Nano, JetPack 4.6.x"),
        (trees.XAVIER_NX, "aarch64", "jetson", "Jetson Xavier NX, JetPack 5.1.6"),
        (trees.AGX_XAVIER, "aarch64", "jetson", "Jetson AGX Xavier, JetPack 5.1.2"),
        (trees.ORIN_NANO, "aarch64", "jetson", "Jetson Orin Nano, JetPack 6.2"),
        (trees.AGX_ORIN, "aarch64", "jetson", "Jetson AGX Orin, JetPack 7.2"),
        (trees.THOR, "aarch64", "jetson", "Jetson Thor, JetPack 7.0"),
        (trees.PI_5, "aarch64", "raspberry-pi", "Raspberry Pi 5 Model B Rev 1.0"),
        (trees.PI_3, "armv7l", "raspberry-pi", "Raspberry Pi 3 Model B Plus Rev 1.3"),
        (trees.ROCK, "aarch64", "arm", "Radxa ROCK 5B"),
        (trees.PC, "x86_64", "x86", "NUC13ANHi7"),
        ({}, "riscv64", "other", "riscv64"),
    ],
)
def test_a_board_is_recognised(
    tmp_path: Path, tree: trees.Tree, machine: str, kind: str, title: str
) -> None:
    board = read_board(trees.plant(tmp_path, tree), machine=machine)
    assert (board.kind, board.title) == (kind, title)


@pytest.mark.parametrize(
    ("compatible", "series"),
    [
        ("nvidia,p3768-0000+p3767-0000 nvidia,p3767-0000 nvidia,tegra234", "Orin NX"),
        ("nvidia,p3768-0000+p3767-0004 nvidia,p3767-0004 nvidia,tegra234", "Orin Nano"),
        ("acme,board-of-theirs nvidia,tegra234", "Orin"),
        ("nvidia,p2771-0000 nvidia,p3310-1000 nvidia,tegra186", "TX2"),
        ("nvidia,tegra999", ""),
    ],
)
def test_the_module_says_more_than_the_chip(compatible: str, series: str) -> None:
    board = identify(model="", compatible=compatible, tegra_release="", machine="aarch64")
    assert (board.kind, board.series) == ("jetson", series)


@pytest.mark.parametrize(
    ("release", "jetpack"),
    [("36 (release), REVISION: 4.0", "6.1"), ("36 (release), REVISION: 4.7", "6.2.1"),
     ("36 (release), REVISION: 9.9", "6.x"), ("35 (release), REVISION: 6.1", "5.1.5"),
     ("36 (release), REVISION: 4.2", "6.x"), ("32 (release), REVISION: 5.2", "4.5.x"),
     ("38 (release), REVISION: 4.0", "7.1"),
     ("garbage", "")],
)  # fmt: skip
def test_a_release_is_a_jetpack(release: str, jetpack: str) -> None:
    board = identify(model="", compatible="", tegra_release=f"# R{release}", machine="aarch64")
    assert board.jetpack == jetpack


def test_the_power_of_a_module_is_its_inputs_rail(tmp_path: Path) -> None:
    rails = power_mw(trees.plant(tmp_path, trees.ORIN_NANO))
    assert set(rails) == {"VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"}, "no NC, no sum of shunts"
    total, rule = total_power_mw(rails)
    assert (round(total), rule) == (4662, "VDD_IN")


def test_a_module_without_such_a_rail_is_summed_and_says_so(tmp_path: Path) -> None:
    rails = power_mw(trees.plant(tmp_path, trees.AGX_ORIN))
    total, rule = total_power_mw(rails)
    assert (round(total), rule) == (5139 + 3268 + 5500, "sum of the rails")


def test_jetpack_4_has_its_power_elsewhere(tmp_path: Path) -> None:
    rails = power_mw(trees.plant(tmp_path, trees.NANO))
    assert rails == {"POM_5V_IN": 2003, "POM_5V_GPU": 0}
    assert total_power_mw(rails) == (2003, "POM_5V_IN")


def test_zones_that_are_off_or_constant_are_left_out(tmp_path: Path) -> None:
    assert set(temperatures_c(trees.plant(tmp_path, trees.ORIN_NANO))) == {
        "cpu-thermal", "gpu-thermal", "tj-thermal",
    }  # fmt: skip
    assert set(temperatures_c(trees.plant(tmp_path / "nano", trees.NANO))) == {
        "CPU-therm", "GPU-therm",
    }  # fmt: skip


def test_alarms_are_counted_by_cause(tmp_path: Path) -> None:
    assert tegra_throttling(trees.plant(tmp_path, trees.ORIN_NANO)) == {
        "under-voltage": 0, "average over-current": 4, "over-current": 17,
    }  # fmt: skip


def test_pinned_clocks_are_those_whose_least_is_their_most(tmp_path: Path) -> None:
    assert clocks_pinned(trees.plant(tmp_path / "a", trees.ORIN_NANO)) is False
    assert clocks_pinned(trees.plant(tmp_path / "b", trees.AGX_ORIN)) is True
    assert str(clocks_pinned(tmp_path / "c")).startswith("unavailable: ")


@pytest.mark.parametrize(
    ("tree", "now", "most"),
    [(trees.ORIN_NANO, 624.75, 624.75), (trees.AGX_ORIN, 1300.5, 1300.5),
     (trees.THOR, 1000, 1575), (trees.AGX_XAVIER, 1377, 1377), (trees.NANO, 76.8, 921.6)],
)  # fmt: skip
def test_the_gpus_clock_is_found_under_each_of_its_names(
    tmp_path: Path, tree: trees.Tree, now: float, most: float
) -> None:
    root = trees.plant(tmp_path, tree)
    facts = board_facts(read_board(root, machine="aarch64"), root)
    assert (facts["gpu_mhz"], facts["gpu_max_mhz"]) == (now, most)


def test_what_a_jetson_does_not_show_is_never_a_number(tmp_path: Path) -> None:
    facts = board_facts(Board("jetson", "a Jetson"), tmp_path)
    for name in ("gpu_mhz", "gpu_max_mhz", "clocks_pinned", "power_total_mw"):
        assert str(facts[name]).startswith("unavailable: "), name
    assert facts["power_mw"] == facts["throttling"] == {}


@pytest.fixture
def vcgencmd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tool = tmp_path / "vcgencmd"
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tool


@pytest.mark.parametrize(
    ("word", "met"),
    [("0x0", []), ("0x50005", ["under-voltage", "throttled", "under-voltage since boot",
                              "throttled since boot"]),
     ("0x80000", ["soft temperature limit since boot"])],
)  # fmt: skip
def test_a_pi_tells_its_limits_in_bits(vcgencmd: Path, word: str, met: list[str]) -> None:
    vcgencmd.write_text(f"#!/bin/sh\necho throttled={word}\n")
    vcgencmd.chmod(0o755)
    assert [cause for cause, bit in pi_throttling().items() if bit] == met


def test_a_pi_without_its_tool_tells_nothing(vcgencmd: Path) -> None:
    assert pi_throttling() == {} or not vcgencmd.exists()
    vcgencmd.write_text("#!/bin/sh\necho 'VCHI initialization failed'\n")
    vcgencmd.chmod(0o755)
    assert pi_throttling() == {}


def test_the_facts_of_a_board_hold_it_all(tmp_path: Path) -> None:
    facts = device_facts(trees.plant(tmp_path, trees.PI_5))
    assert facts["board"]["kind"] == "raspberry-pi"
    assert facts["temperatures_c"] == {"cpu-thermal": 48.3}
    assert "power_mw" not in facts
    assert "board" not in device_facts(trees.plant(tmp_path / "pc", trees.PC))
