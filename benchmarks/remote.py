"""Claim: going through ssh adds less than 3 s to a profile besides the transfer.

    make bench-remote      or        python -m benchmarks.remote [--pairs N] [--emulated] [FILE...]

`edgecnn profile` of the same files, on this machine and on this machine behind an ssh server of
its own on the loopback, in turn; what the second takes longer. The files are on the device
already, which the runs prove: nothing is sent. `--emulated` times the emulated aarch64 board of
the tests instead (as root, on Debian): a profile that sends all, then one that sends nothing.
Without FILEs: MobileNetV2, FP32 and INT8.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.claims import told
from benchmarks.networks import OUTPUT, files
from tests.devices.arm_board import arm_board
from tests.devices.loopback import make_device, serve

MOST_S = 3.0
_PAIRS = 7
_FEW_RUNS = ("--precision", "1", "--time-limit", "1", "--threads", "1", "--no-layers", "--force")


def profiled(paths: Sequence[Path], device: str, *, sends: bool = False) -> float:
    """How long the command takes, in seconds; it has to send all the files, or none."""
    words = [*map(str, paths), "--device", device, *_FEW_RUNS, "-o", "bench-output/remote.json"]
    started_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "edgecnn", "profile", *words],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    taken_s = time.monotonic() - started_s
    state = "sent" if sends else "already there"
    assert device == "local" or done.stdout.count(f"   {state}\n") == len(paths), done.stdout
    return taken_s


def on_loopback(paths: Sequence[Path], pairs: int) -> bool:
    """Pairs of profiles, here and over ssh; whether the claim holds."""
    scratch = tempfile.TemporaryDirectory(prefix="edgecnn-")
    with scratch as folder, serve(Path(folder)) as server, pytest.MonkeyPatch.context() as patch:
        board = make_device(server, Path(folder), patch)
        profiled(paths, "local")
        profiled(paths, board.name, sends=True)
        rows = []
        for number in range(pairs):
            turn = ("local", board.name) if number % 2 else (board.name, "local")
            taken_s = {device: profiled(paths, device) for device in turn}
            rows.append((taken_s["local"], taken_s[board.name]))
    here_s, there_s = np.array(rows).T
    more_s = there_s - here_s
    return told(
        f"{np.median(here_s):.1f} s here, {np.median(there_s):.1f} s over ssh; over ssh it takes"
        f" {np.median(more_s):.1f} s longer ({more_s.min():.1f} to {more_s.max():.1f},"
        f" {pairs} pairs)",
        bool(np.median(more_s) < MOST_S),
    )


def on_emulated(paths: Sequence[Path]) -> None:
    """What a board takes whose processor is emulated."""
    with (
        tempfile.TemporaryDirectory(prefix="edgecnn-") as folder,
        arm_board(Path(folder) / "arm") as config,
    ):
        os.environ["EDGECNN_SSH_CONFIG"] = str(config)
        first_s = profiled(paths, "ssh://armdev", sends=True)
        second_s = profiled(paths, "ssh://armdev")
    here_s = profiled(paths, "local")
    print(
        f"emulated aarch64: {first_s:.1f} s with all files sent, {second_s:.1f} s with none;"
        f" {here_s:.1f} s here"
    )


def main(arguments: Sequence[str]) -> bool:
    """Measure; whether the claim holds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=_PAIRS)
    parser.add_argument("--emulated", action="store_true")
    parser.add_argument("files", nargs="*", type=Path)
    asked = parser.parse_args(arguments)
    OUTPUT.mkdir(exist_ok=True)
    paths = asked.files or files("mobilenetv2")
    if asked.emulated:
        on_emulated(paths)
        return True
    return on_loopback(paths, asked.pairs)


if __name__ == "__main__":
    sys.exit(not main(sys.argv[1:]))
