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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy_networks import NETWORKS, Network, float_file, images, labels
from benchmarks.accuracy_peers import PeerError, environment_of, prepared, quantize_with
from benchmarks.zoo import code_sha256
from edgecnn.errors import WeightsError
from edgecnn.files import sha256_of
from edgecnn.graph.check import compare
from edgecnn.graph.quantize import quantize_model
from edgecnn.graph.session import Session
from edgecnn.profiling.statistics import Interval, paired_drop_interval

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
    ("mobilenetv1_025", "s8"): (8.0, 12.0),
    ("efficientnet_lite0", "s8"): (2.0, 0.4),
    ("squeezenet1_1", "s8"): (4.5, 3.5),
    ("mobilenetv2_dequantised", "s8"): (1.0, 0.0),
}
LEAST_AHEAD_DB = -0.2  # of any other network: it moves by so much between subsets
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
            return _scored_again(cell, known)
    started_s = time.perf_counter()
    int8 = OUTPUT / "cache" / f"{cell.path.stem}.onnx"
    int8.unlink(missing_ok=True)
    found: Score = {"code_sha256": code_sha256()}
    try:
        _quantize(cell, int8)
        found["quantize_s"] = round(time.perf_counter() - started_s, 1)
        found |= {"sha256": sha256_of(int8)} | _compared(NETWORKS[cell.network], int8)
    except (PeerError, WeightsError) as error:
        found["failed"] = str(error)
    cell.path.write_text(json.dumps(found), encoding="utf-8")
    return found


def _scored_again(cell: Cell, known: Score) -> Score:
    """A score of an earlier version does not say on which images the answers agree."""
    int8 = OUTPUT / "cache" / f"{cell.path.stem}.onnx"
    if {"agrees", "failed"} & known.keys() or not int8.exists():
        return known
    if sha256_of(int8) != known["sha256"]:
        return known
    known |= _compared(NETWORKS[cell.network], int8)
    cell.path.write_text(json.dumps(known), encoding="utf-8")
    return known


def chosen_of(count: int, subset: int) -> NDArray[np.int64]:
    """Which of so many calibration images make a subset, in random order."""
    return np.random.default_rng(subset).permutation(count)[:SUBSET_IMAGES]


def _quantize(cell: Cell, output: Path) -> None:
    network = NETWORKS[cell.network]
    source = float_file(network, OUTPUT / "cache")
    every = images(network, "calibration", OUTPUT / "cache")
    chosen = chosen_of(len(every), cell.subset)
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
        np.concatenate([_answers(network, file, subset) for subset in network.evaluated])
        for file in (source, int8)
    )
    right = np.concatenate([labels(network, subset) for subset in network.evaluated])
    check = compare(reference, answers)
    fp32, top1 = (float(np.mean(a.argmax(axis=1) == right)) for a in (reference, answers))
    agrees = reference.argmax(axis=1) == answers.argmax(axis=1)
    return {
        "sqnr_db": check.sqnr_db,
        "agreement": 100 * check.top1_agreement,
        "fp32_top1": 100 * fp32,
        "drop": 100 * (fp32 - top1),
        "n": check.n,
        "agrees": np.packbits(agrees).tobytes().hex(),
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


def agreeing(found: Score) -> NDArray[np.bool_]:
    """For each evaluation image whether the answer is FP32's."""
    packed = np.frombuffer(bytes.fromhex(found["agrees"]), np.uint8)
    return np.unpackbits(packed, count=found["n"]).astype(np.bool_)


def paired(ours: Score, peer: Score) -> Interval | None:
    """By how many points our answers agree more often than a peer's, image by image, at 95 %.

    None where one of the two does not say on which images it agrees.
    """
    if not ("agrees" in ours and "agrees" in peer):
        return None
    mine, theirs = agreeing(ours), agreeing(peer)
    only_mine, only_theirs = int((mine & ~theirs).sum()), int((theirs & ~mine).sum())
    return paired_drop_interval(only_mine, only_theirs, len(mine)).scaled(100)


def measured(network: str, kind: str, subsets: int) -> Iterator[tuple[str, list[Score]]]:
    """Each tool with its scores, up to the first that failed."""
    for tool in (OURS, *PEERS[kind]):
        scores: list[Score] = []
        while len(scores) < subsets and not any("failed" in found for found in scores):
            scores.append(score(Cell(network, kind, tool, len(scores))))
        yield tool, scores


def report(network: str, kind: str, subsets: int) -> tuple[list[str], bool]:
    """The table's lines for one network and kind of graph, and whether the claim holds."""
    lines, medians, first = [], {}, {}
    for tool, scores in measured(network, kind, subsets):
        found = _median(scores)
        if found is None:
            lines.append(f"| {network} | {kind} | {tool} | {scores[-1]['failed']} | | | | |")
            continue
        medians[tool], first[tool] = found, scores[0]
        lines.append(
            f"| {network} | {kind} | {tool} | {found['sqnr_db']:.2f} | {found['agreement']:.2f} |"
            f" {_ahead(first, tool)} | {found['drop']:+.2f} | {found['quantize_s']:.0f} |"
        )
    if OURS not in medians:
        verdict, held = "cannot be measured here", True
    elif len(medians) == 1:
        verdict, held = "no peer could be installed", False
    elif (network, kind) in CLAIMS:
        verdict, held = judge(medians, network, kind)
    else:
        verdict, held = judge_no_worse(medians, first, kind)
    return [*lines, f"| {network} | {kind} | **{verdict}** | | | | | |"], held


def _ahead(first: Mapping[str, Score], tool: str) -> str:
    """Our lead over a peer on the first subset, with its interval."""
    lead = paired(first[OURS], first[tool]) if tool != OURS and OURS in first else None
    return "" if lead is None else f"{lead.value:+.2f} ({lead.low:+.2f} to {lead.high:+.2f})"


def judge(medians: dict[str, Score], network: str, kind: str) -> tuple[str, bool]:
    """The claim in words, and whether it holds."""
    ours = medians[OURS]
    peers = [found for tool, found in medians.items() if tool != OURS]
    ahead_db = ours["sqnr_db"] - max(peer["sqnr_db"] for peer in peers)
    ahead = ours["agreement"] - max(peer["agreement"] for peer in peers)
    least_db, least = CLAIMS[network, kind]
    held = ahead_db >= least_db and ahead >= least and ours["drop"] <= MAX_DROP[kind]
    return (
        f"ahead of the best peer by {ahead_db:+.2f} dB (claim {least_db:+.1f}) and"
        f" {ahead:+.2f} points (claim {least:+.1f}): {'holds' if held else 'DOES NOT HOLD'}"
    ), held


def judge_no_worse(
    medians: dict[str, Score], first: Mapping[str, Score], kind: str
) -> tuple[str, bool]:
    """The same for a network without a claim: no peer is better by more than the noise."""
    peers = [tool for tool in medians if tool != OURS]
    ahead_db = medians[OURS]["sqnr_db"] - max(medians[tool]["sqnr_db"] for tool in peers)
    leads = [paired(first[OURS], first[tool]) for tool in peers]
    level = all(lead is None or lead.high >= 0 for lead in leads)
    held = ahead_db >= LEAST_AHEAD_DB and level and medians[OURS]["drop"] <= MAX_DROP[kind]
    return (
        f"ahead of the best peer by {ahead_db:+.2f} dB (claim {LEAST_AHEAD_DB:+.1f}), and no peer"
        f" agrees more often beyond its interval: {'holds' if held else 'DOES NOT HOLD'}"
    ), held


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
        "| network | graph | tool | SQNR dB | agreement % | ours agrees more by, points (95 %)"
        " | top-1 drop, points | seconds |",
        "|---|---|---|---|---|---|---|---|",
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
