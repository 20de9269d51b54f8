"""Claim: what `auto` takes is as fast as the fastest of the peers, and never above 1.10 of it.

    make bench-auto        or        python -m benchmarks.auto_speed [MODEL...]

Peers, all on one thread: ONNX Runtime as it comes, on the FP32 file and on INT8 of its own
quantizer; OpenVINO on INT8 of NNCF (MIXED preset), its float layers in FP32; LiteRT on INT8 of
litert-torch; ncnn; torch.compile with frozen weights. What they need is installed into environments
of their own. Each runs in a process of its own, and all take turns, block by block.

Random weights: latency does not depend on them. Beside each time stands how far its answer to one
image is from FP32's. A network that has a result in bench-output/ is measured again where it is
named; all latencies stay there. A peer that cannot be installed or fails is named with the reason.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy_peers import WORKER, PeerError, environment_of, prepared, quantize_with
from benchmarks.auto_runner import Runner
from benchmarks.claims import mean_holds
from benchmarks.networks import OUTPUT, files, weights
from edgecnn.cli.speak import Speaker
from edgecnn.datasets.natural import natural_images
from edgecnn.onnxfile import read_contract
from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.fastest import FastestOptions, fastest
from edgecnn.pipeline.quantize import QuantizeOptions, quantize
from edgecnn.runtime.preprocess import preprocess
from edgecnn.runtime.race import ratio, take_turns

MEAN_AT_MOST = 1.0
EACH_AT_MOST = 1.1
NETWORKS = (
    "mobilenetv2", "squeezenet1_1", "mobilenetv3_large", "efficientnet_b0", "resnet18", "resnet50",
    "googlenet", "vgg16",
)  # fmt: skip
IMAGES = 16
CONVERTER = Path(__file__).with_name("auto_convert.py")


@dataclass(frozen=True, slots=True)
class Peer:
    """A way to run a network: which tool makes its file, in which form, and what runs it there."""

    engine: str
    tool: str = ""
    suffix: str = ".onnx"
    program: bool = False
    """Made of the PyTorch program, not of the ONNX file."""

    @property
    def label(self) -> str:
        """As the table calls it."""
        return f"{self.engine} {self.tool}".removesuffix(f" {self.engine}").strip()


PEERS = (
    Peer("onnxruntime"),
    Peer("onnxruntime", "ort-minmax-u8"),
    Peer("openvino", "nncf-fast-u8"),
    Peer("litert", "litert", suffix=".tflite", program=True),
    Peer("ncnn", "ncnn", suffix=".param"),
    Peer("torch.compile", suffix=".pt2", program=True),
)


def measure(name: str) -> None:
    """Run auto and all peers in turn, and keep what was found."""
    images = pictures(name)
    left_out: dict[str, str] = {}
    with ExitStack() as stack:
        path, engine = chosen(name)
        auto = f"auto: {path.name} on {engine}"
        runners = {auto: stack.enter_context(Runner(Path(sys.executable), "auto", path, images))}
        for peer in PEERS:
            try:
                python, file = made(peer, name, images)
                runners[peer.label] = stack.enter_context(Runner(python, peer.engine, file, images))
            except PeerError as error:
                left_out[peer.label] = str(error)
        take_turns([runner.block for runner in runners.values()])
        document = {
            "format": 1,
            "network": name,
            "left_out": left_out,
            "contestants": [
                {"name": label, "answer": runner.answer, "latencies_ns": runner.latencies_ns}
                for label, runner in runners.items()
            ],
        }
    result_of(name).write_text(json.dumps(document))


def chosen(name: str) -> tuple[Path, str]:
    """The file that `auto` takes and the engine that it runs it on, measured anew."""
    options = FastestOptions(threads=1, again=True)
    candidates = (*files(name), for_openvino(name))
    _, (verdict,) = fastest(candidates, options=options, narrator=Speaker())
    return verdict.take.path, verdict.take.choice.engine


def for_openvino(name: str) -> Path:
    """INT8 as OpenVINO wants it, with the ranges of the other file; made once."""
    source, int8 = files(name)
    target = OUTPUT / f"{name}.openvino.onnx"
    if not target.exists():
        ranges = int8.with_suffix(".ranges.json")
        options = QuantizeOptions(target="openvino", effort="fast", ranges=ranges)
        quantize(source, find_calibration("natural:16", seed=0), output=target, options=options)
    return target


def pictures(name: str) -> Path:
    """Natural images as the network's input; made once."""
    target = OUTPUT / f"{name}.images.npy"
    if not target.exists():
        recipe = read_contract(files(name)[0]).preprocess
        height, width = recipe.size
        made = natural_images(IMAGES, height=height, width=width, seed=3)
        np.save(target, np.concatenate([preprocess(image, recipe) for image in made]))
    return target


def made(peer: Peer, name: str, images: Path) -> tuple[Path, Path]:
    """The Python and the file that a peer runs, the file made once; raises PeerError."""
    source = program(name) if peer.program else files(name)[0]
    if not peer.tool:
        return Path(sys.executable), source
    home = prepared(environment_of(peer.tool), OUTPUT.resolve())
    target = OUTPUT / f"{name}.{peer.tool}{peer.suffix}"
    has_own_tool = peer.tool == peer.engine
    if not target.exists():
        worker = CONVERTER if has_own_tool else WORKER
        quantize_with(home, peer.tool, source, images, target, worker=worker)
    return home if has_own_tool else Path(sys.executable), target


def program(name: str) -> Path:
    """The network as PyTorch exports it; made once."""
    target = OUTPUT / f"{name}.pt2"
    if not target.exists():
        import torch

        from edgecnn.runtime.cache import cache_dir
        from edgecnn.zoo.catalog import find
        from edgecnn.zoo.weights import load_weights

        loaded = load_weights(find(name), str(weights(name)), cache=cache_dir())
        image = torch.zeros(loaded.preprocess.tensor_shape())
        torch.export.save(torch.export.export(loaded.module.eval(), (image,)), target)
    return target


def result_of(name: str) -> Path:
    """Where the measurement of a network is kept."""
    return OUTPUT / f"auto_speed-{name}.json"


def told(name: str) -> float:
    """Print what was measured, and return auto's share of the fastest peer's time."""
    document = json.loads(result_of(name).read_text())
    auto, *peers = document["contestants"]
    plain = np.array(peers[0]["answer"])
    best = min(peers, key=lambda peer: float(np.median(medians_ms(peer))))
    found = ratio(medians_ms(auto), medians_ms(best))
    print(f"{name}:")
    for each in (auto, *peers):
        print(f"  {each['name']:<44} {told_time(each, plain)}")
    for label, reason in document["left_out"].items():
        print(f"  {label:<44} left out: {reason}")
    print(f"  auto takes {found.told} the time of {best['name']}\n")
    return found.value


def told_time(contestant: dict[str, Any], plain: np.ndarray[Any, Any]) -> str:
    """The middle latency, and how far the answer is from FP32's."""
    answer = np.array(contestant["answer"])
    error = float(np.square(answer - plain).sum())
    told_ms = f"{float(np.median(medians_ms(contestant))):8.3f} ms"
    if not error:
        return told_ms
    return f"{told_ms}   {10 * np.log10(np.square(plain).sum() / error):5.1f} dB to FP32"


def medians_ms(contestant: dict[str, Any]) -> np.ndarray[Any, Any]:
    """The middle of each block."""
    return np.array([np.median(block) / 1e6 for block in contestant["latencies_ns"]])


def main(named: tuple[str, ...]) -> bool:
    """Measure what is named, or what has no result yet, and say whether the claims hold."""
    networks = named or NETWORKS
    for name in networks:
        if named or not result_of(name).exists():
            measure(name)
    ratios = [told(name) for name in networks]
    return mean_holds(ratios, mean_at_most=MEAN_AT_MOST, each_at_most=EACH_AT_MOST)


if __name__ == "__main__":
    OUTPUT.mkdir(exist_ok=True)
    sys.exit(not main(tuple(sys.argv[1:])))
