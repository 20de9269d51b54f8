"""What a method of calibration for each tensor gains over the best one for the whole network.

    python -m benchmarks.methods [NETWORK...] [--kind u8|s8] [--subset N]

Both files have their biases corrected, nothing else; they are judged on every fourth image of those
that no tool has seen. Prints a row for each network and kind of graph.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence

import numpy as np

from benchmarks.accuracy import OUTPUT, TARGETS, chosen_of
from benchmarks.accuracy_networks import NETWORKS, Floats, Network, float_file, images
from edgecnn.graph.bench import Bench, Candidate
from edgecnn.graph.check import Judge
from edgecnn.graph.fold import fold
from edgecnn.graph.normal import read_model
from edgecnn.graph.plan import make_plan
from edgecnn.graph.ranges import MIXED
from edgecnn.graph.split import Meter, Split
from edgecnn.graph.targets import find_target
from edgecnn.graph.watched import watched_by_all

CACHE = OUTPUT / "cache"
EVERY = 4


def bench_of(network: Network, kind: str, subset: int) -> Bench:
    """What makes INT8 files of a network from one subset of the calibration images."""
    source = float_file(network, CACHE)
    folded, target = fold(read_model(source)), find_target(TARGETS[kind])
    every = images(network, "calibration", CACHE)
    chosen = chosen_of(len(every), subset)
    split = Split(lambda: (np.ascontiguousarray(every[index][None]) for index in chosen), None)
    return Bench(
        folded=folded,
        plan=make_plan(folded, target),
        watched=watched_by_all(folded),
        target=target,
        images=split,
        judge=Judge(source, split.kept_aside()),
        meter=Meter(None, 0),
        threads=0,
    )


def judge_of(network: Network) -> Judge:
    """Who compares with FP32 on images that taught nothing and chose nothing."""
    found: list[Floats] = [
        np.ascontiguousarray(image[None])
        for subset in network.evaluated
        for image in images(network, subset, CACHE)[::EVERY]
    ]
    return Judge(float_file(network, CACHE), iter(found))


def row(network: Network, kind: str, subset: int) -> str:
    """One line of the table."""
    bench, judge = bench_of(network, kind, subset), judge_of(network)
    starts = bench.starts(bench.learnt("auto", ""), "auto")
    one = next(start for start in starts if start.ranges.method != MIXED)
    mixed = next((start for start in starts if start.ranges.method == MIXED), one)
    methods = Counter(mixed.ranges.method_of(name) for name in bench.plan.watched)
    cells = [
        network.name, kind, one.ranges.method, _scores(bench, judge, one),
        ", ".join(f"{name} {count}" for name, count in methods.most_common()),
        _scores(bench, judge, mixed), starts[0].ranges.method,
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _scores(bench: Bench, judge: Judge, start: Candidate) -> str:
    mended = bench.mended(start, [bench.bias_correction])
    check = judge.check(mended.model)
    return f"{check.sqnr_db:.2f} dB, {check.top1_agreement:.1%}"


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(NETWORKS))
    parser.add_argument("--kind", choices=sorted(TARGETS), action="append")
    parser.add_argument("--subset", type=int, default=0)
    asked = parser.parse_args(arguments)
    CACHE.mkdir(parents=True, exist_ok=True)
    print("| network | graph | one method | | methods by tensor | | taken |")
    print("|---|---|---|---|---|---|---|")
    for name in asked.networks or NETWORKS:
        for kind in asked.kind or sorted(TARGETS, reverse=True):
            print(row(NETWORKS[name], kind, asked.subset), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
