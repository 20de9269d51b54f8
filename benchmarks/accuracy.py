"""Claim: INT8 by edgecnn is nearer to FP32 than the best peer's, on real weights and photographs.

    make bench-accuracy      or      python -m benchmarks.accuracy [NETWORK...] [--subsets N]

Each tool quantizes each network from three random subsets of the calibration images; every file is
scored as it ships, optimised, in ONNX Runtime on images that none of them has seen. A score stays
in bench-output/accuracy/cells/, so that a run that was interrupted goes on where it stopped; ours
count only for the code that they were made with. The table goes to bench-output/accuracy/table.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.accuracy_networks import EVALUATED, NETWORKS, Network, float_file, images, labels
from benchmarks.accuracy_peers import PeerError, environment_of, prepared, quantize_with
from benchmarks.zoo import code_sha256
from edgecnn.files import sha256_of
from edgecnn.graph.check import compare
from edgecnn.graph.quantize import quantize_model
from edgecnn.graph.session import Session

OUTPUT = Path("bench-output") / "accuracy"
SUBSET_IMAGES = 200
SUBSETS = 3
OURS = "edgecnn"
TARGETS = {"u8": "onnxruntime-x86", "s8": "tensorrt"}
PEERS = {
    "u8": ("ort-minmax", "ort-percentile", "ort-entropy", "nncf-fast", "nncf-full"),
    "s8": ("ort-minmax", "ort-percentile", "ort-entropy", "modelopt-max", "modelopt-entropy"),
}
# Network, kind of graph: decibels and points of agreement that ours is ahead of the best peer.
CLAIMS = {
    ("mobilenetv1_025", "u8"): (2.5, 1.0),
    ("efficientnet_lite0", "u8"): (1.8, 0.2),
    ("squeezenet1_1", "u8"): (2.0, 0.4),
    ("mobilenetv2_dequantised", "u8"): (0.0, 0.0),
    ("mobilenetv1_025", "s8"): (8.0, 12.0),
    ("efficientnet_lite0", "s8"): (2.0, 0.4),
    ("squeezenet1_1", "s8"): (4.5, 3.5),
    ("mobilenetv2_dequantised", "s8"): (1.0, 0.0),
}
MAX_DROP = {"u8": 1.0, "s8": 1.3}

Score = dict[str, Any]


class Cell(NamedTuple):
    """One tool on one network with one subset of the calibration images."""

    network: str
    kind: str
    tool: str
    subset: int

    @property
    def path(self) -> Path:
        """Where the score stays."""
        return OUTPUT / "cells" / f"{self.network}-{self.kind}-{self.tool}-{self.subset}.json"


def score(cell: Cell) -> Score:
    """The cell's score, from an earlier run where there is one."""
    if cell.path.exists():
        known: Score = json.loads(cell.path.read_text(encoding="utf-8"))
        if cell.tool != OURS or known["code_sha256"] == code_sha256():
            return known
    started_s = time.perf_counter()
    int8 = OUTPUT / "cache" / f"{cell.path.stem}.onnx"
    int8.unlink(missing_ok=True)
    found: Score = {"code_sha256": code_sha256()}
    try:
        _quantize(cell, int8)
        found["quantize_s"] = round(time.perf_counter() - started_s, 1)
        found |= {"sha256": sha256_of(int8)} | _compared(NETWORKS[cell.network], int8)
    except PeerError as error:
        found["failed"] = str(error)
    cell.path.write_text(json.dumps(found), encoding="utf-8")
    return found


def _quantize(cell: Cell, output: Path) -> None:
    network = NETWORKS[cell.network]
    source = float_file(network, OUTPUT / "cache")
    every = images(network, "calibration", OUTPUT / "cache")
    chosen = np.random.default_rng(cell.subset).permutation(len(every))[:SUBSET_IMAGES]
    if cell.tool == OURS:
        made = quantize_model(
            source,
            lambda: (np.ascontiguousarray(every[index][None]) for index in chosen),
            target=TARGETS[cell.kind],
        )
        output.write_bytes(made.model.SerializeToString())
        return
    python = prepared(environment_of(cell.tool), OUTPUT)
    part = OUTPUT / "cache" / "calibration.npy"
    np.save(part, every[np.sort(chosen)])
    quantize_with(python, f"{cell.tool}-{cell.kind}", source, part, output)


def _compared(network: Network, int8: Path) -> Score:
    """INT8 against FP32 on the evaluation images, and what both get right."""
    source = float_file(network, OUTPUT / "cache")
    reference, answers = (
        np.concatenate([_answers(network, file, subset) for subset in EVALUATED])
        for file in (source, int8)
    )
    right = np.concatenate([labels(network, subset) for subset in EVALUATED])
    check = compare(reference, answers)
    fp32, top1 = (float(np.mean(a.argmax(axis=1) == right)) for a in (reference, answers))
    return {
        "sqnr_db": check.sqnr_db,
        "agreement": 100 * check.top1_agreement,
        "fp32_top1": 100 * fp32,
        "drop": 100 * (fp32 - top1),
        "n": check.n,
    }


def _answers(network: Network, file: Path, subset: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    is_float = file == float_file(network, OUTPUT / "cache")
    kept = OUTPUT / "cache" / f"{network.name}-{subset}-answers.npy"
    if is_float and kept.exists():
        return np.asarray(np.load(kept))
    session = Session(file)
    rows = [
        session.run(np.ascontiguousarray(image[None]))[0].reshape(-1)
        for image in images(network, subset, OUTPUT / "cache")
    ]
    answers = np.array(rows, np.float32)
    if is_float:
        np.save(kept, answers)
    return answers


def _median(scores: Sequence[Score]) -> Score | None:
    """The median of each number over the subsets; None where the tool failed."""
    if any("failed" in found for found in scores):
        return None
    names = ("sqnr_db", "agreement", "drop", "quantize_s")
    return {name: statistics.median(found[name] for found in scores) for name in names}


def rows(network: str, kind: str, subsets: int) -> Iterator[tuple[str, Score | None, str]]:
    """Each tool with its medians, or why there are none."""
    for tool in (OURS, *PEERS[kind]):
        scores = []
        for subset in range(subsets):
            scores.append(score(Cell(network, kind, tool, subset)))
            if "failed" in scores[-1]:
                break
        yield tool, _median(scores), str(scores[-1].get("failed", ""))


def report(network: str, kind: str, subsets: int) -> tuple[list[str], bool]:
    """The table's lines for one network and kind of graph, and whether the claim holds."""
    lines, medians = [], {}
    for tool, found, why in rows(network, kind, subsets):
        if found is None:
            lines.append(f"| {network} | {kind} | {tool} | {why} | | | |")
            continue
        medians[tool] = found
        lines.append(
            f"| {network} | {kind} | {tool} | {found['sqnr_db']:.2f} | {found['agreement']:.2f} |"
            f" {found['drop']:+.2f} | {found['quantize_s']:.0f} |"
        )
    verdict, held = judge(medians, network, kind)
    return [*lines, f"| {network} | {kind} | **{verdict}** | | | | |"], held


def judge(medians: dict[str, Score], network: str, kind: str) -> tuple[str, bool]:
    """The claim in words, and whether it holds."""
    ours = medians[OURS]
    peers = [found for tool, found in medians.items() if tool != OURS]
    if not peers:
        return "no peer could be installed", False
    ahead_db = ours["sqnr_db"] - max(peer["sqnr_db"] for peer in peers)
    ahead = ours["agreement"] - max(peer["agreement"] for peer in peers)
    least_db, least = CLAIMS[network, kind]
    held = ahead_db >= least_db and ahead >= least and ours["drop"] <= MAX_DROP[kind]
    said = (
        f"ahead of the best peer by {ahead_db:+.2f} dB (claim {least_db:+.1f}) and"
        f" {ahead:+.2f} points (claim {least:+.1f}): {'holds' if held else 'DOES NOT HOLD'}"
    )
    return said, held


def main(arguments: Sequence[str]) -> int:
    """Measure, print and write the table; 1 where a claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(NETWORKS))
    parser.add_argument("--subsets", type=int, default=SUBSETS, choices=range(1, SUBSETS + 1))
    parser.add_argument("--kind", choices=sorted(TARGETS), action="append")
    asked = parser.parse_args(arguments)
    for folder in ("cells", "cache"):
        (OUTPUT / folder).mkdir(parents=True, exist_ok=True)
    lines = [
        "| network | graph | tool | SQNR dB | agreement % | top-1 drop, points | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    print(*lines, sep="\n")
    all_held = True
    for network in asked.networks or NETWORKS:
        for kind in asked.kind or sorted(TARGETS, reverse=True):
            found, held = report(network, kind, asked.subsets)
            print(*found, sep="\n", flush=True)
            lines.extend(found)
            all_held = all_held and held
    (OUTPUT / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0 if all_held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
