"""Claim: what `auto` takes is as fast as the fastest of the peers, and never above 1.10 of it.

    make bench-auto        or        python -m benchmarks.auto_speed [MODEL...]

Peers, all on one thread: ONNX Runtime as it comes, on the FP32 file and on INT8 of its own
quantizer; OpenVINO on INT8 of NNCF (MIXED preset), its float layers in FP32. Their quantizers are
installed into an environment of their own. LiteRT, ncnn and torch.compile are not here. All run in
turn in one process; ratios with intervals, the medians of blocks stay in bench-output/.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from benchmarks.accuracy_peers import environment_of, prepared, quantize_with
from benchmarks.networks import OUTPUT, claim_holds, files
from edgecnn.cli.speak import Speaker
from edgecnn.datasets.natural import natural_images
from edgecnn.onnxfile import model_sha256, read_contract
from edgecnn.pipeline.fastest import FastestOptions, fastest
from edgecnn.runtime import load
from edgecnn.runtime.compiled import open_engine
from edgecnn.runtime.measure import Run
from edgecnn.runtime.preprocess import Tensor, preprocess
from edgecnn.runtime.race import race, ratio

MEAN_AT_MOST = 1.0
EACH_AT_MOST = 1.1
NETWORKS = ("mobilenetv2", "squeezenet1_1", "mobilenetv3_large", "efficientnet_b0", "resnet18")
QUANTIZERS = {"onnxruntime": "ort-minmax-u8", "openvino": "nncf-fast-u8"}


def measure(name: str) -> float:
    """What auto takes as a share of the fastest peer's time."""
    contract = read_contract(files(name)[0])
    height, width = contract.preprocess.size
    pictures = natural_images(16, height=height, width=width, seed=3)
    tensors = [preprocess(picture, contract.preprocess) for picture in pictures]
    with ExitStack() as stack:
        runs = {"auto": auto(name, tensors, stack), "onnxruntime fp32": plain(name, tensors)}
        for engine, tool in QUANTIZERS.items():
            file = quantized(name, tool, tensors)
            opened = open_engine(file, engine=engine, sha256=model_sha256(file), threads=1)
            stack.callback(opened.close)
            runs[f"{engine} {tool}"] = in_turn(opened.run, opened.inputs[0].name, tensors)
        blocks = dict(zip(runs, race(tuple(runs.values())), strict=True))
    return told(name, blocks)


def auto(name: str, tensors: list[Tensor], stack: ExitStack) -> Run:
    """The file that `auto` takes, on the engine that it chose."""
    options = FastestOptions(threads=1, again=True)
    _, (verdict,) = fastest(files(name), options=options, narrator=Speaker())
    take = verdict.take
    model = stack.enter_context(load(take.path, engine=take.choice.engine, threads=1))
    return in_turn(model.engine.run, model.engine.inputs[0].name, tensors)


def plain(name: str, tensors: list[Tensor]) -> Run:
    """ONNX Runtime as it comes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(files(name)[0]), options, providers=["CPUExecutionProvider"]
    )
    return in_turn(lambda feeds: session.run(None, feeds), session.get_inputs()[0].name, tensors)


def in_turn(run: Callable[[dict[str, Tensor]], Any], name: str, tensors: list[Tensor]) -> Run:
    """Another image each time."""
    feeds = [{name: tensor} for tensor in tensors]

    def step(index: int) -> None:
        run(feeds[index % len(feeds)])

    return step


def quantized(name: str, tool: str, tensors: list[Tensor]) -> Path:
    """The INT8 file that a peer makes of the network; made once."""
    target = OUTPUT / f"{name}.{tool}.onnx"
    if not target.exists():
        images = OUTPUT / f"{name}.images.npy"
        np.save(images, np.concatenate(tensors))
        python = prepared(environment_of(tool), OUTPUT.resolve())
        quantize_with(python, tool, files(name)[0], images, target)
    return target


def told(name: str, blocks: dict[str, Any]) -> float:
    """Print the medians, keep the blocks, and return auto's share of the fastest peer's time."""
    peers = [peer for peer in blocks if peer != "auto"]
    best = min(peers, key=lambda peer: float(np.median(blocks[peer])))
    found = ratio(blocks["auto"], blocks[best])
    for peer, each in blocks.items():
        print(f"  {peer:<32} {float(np.median(each)):.3f} ms")
    print(f"{name}: auto takes {found.told} the time of {best}\n")
    kept = {peer: each.tolist() for peer, each in blocks.items()}
    document = {"format": 1, "network": name, "against": best, "blocks_ms": kept}
    (OUTPUT / f"auto_speed-{name}.json").write_text(json.dumps(document))
    return found.value


def main(networks: tuple[str, ...]) -> bool:
    """Measure all networks and say whether the claims hold."""
    ratios = [measure(name) for name in networks]
    return claim_holds(ratios, mean_at_most=MEAN_AT_MOST, each_at_most=EACH_AT_MOST)


if __name__ == "__main__":
    OUTPUT.mkdir(exist_ok=True)
    sys.exit(not main(tuple(sys.argv[1:]) or NETWORKS))
