"""One contestant of bench-auto: loads a network, then runs it whenever it is told to.

    python -m benchmarks.auto_worker ENGINE FILE IMAGES.npy

It runs in its engine's environment, on one thread. First it tells the answer to the first image;
then each line that it reads, the number of a block, brings the latencies of that block in ns.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.runtime.race import block_runs, timed_block

Infer = Callable[[Any], Any]
"""From a tensor, float32 (1, 3, H, W) or as its loader has prepared it, to the network's output."""


def _auto(file: Path) -> tuple[Infer, Infer]:
    from edgecnn.runtime import load

    model = load(file, engine="auto", threads=1)
    source, target = model.engine.inputs[0].name, model.engine.outputs[0].name
    return lambda image: {source: image}, lambda feeds: model.engine.run(feeds)[target]


def _onnxruntime(file: Path) -> tuple[Infer, Infer]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda image: {name: image}, lambda feeds: session.run(None, feeds)[0]


def _openvino(file: Path) -> tuple[Infer, Infer]:
    import openvino

    options = {
        "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
    }  # fmt: skip
    compiled = openvino.Core().compile_model(str(file), "CPU", options)
    request = compiled.create_infer_request()

    def infer(image: Any) -> Any:
        request.set_input_tensor(image)
        request.infer()
        return request.get_output_tensor(0).data

    return lambda image: openvino.Tensor(image, shared_memory=True), infer


def _litert(file: Path) -> tuple[Infer, Infer]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(file), num_threads=1)
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()

    def prepare(image: Any) -> Any:
        """Channels last, and as integers, which its own users make of an image beforehand."""
        scale, zero_point = source["quantization"]
        pixels = np.ascontiguousarray(image.transpose(0, 2, 3, 1))
        return np.clip(np.rint(pixels / scale) + zero_point, -128, 127).astype(np.int8)

    def infer(image: Any) -> Any:
        interpreter.set_tensor(source["index"], image)
        interpreter.invoke()
        scale, zero_point = target["quantization"]
        return (interpreter.get_tensor(target["index"]).astype(np.float32) - zero_point) * scale

    return prepare, infer


def _ncnn(file: Path) -> tuple[Infer, Infer]:
    import ncnn

    network = ncnn.Net()
    network.opt.num_threads = 1
    network.opt.use_vulkan_compute = False
    network.load_param(str(file))
    network.load_model(str(file.with_suffix(".bin")))

    def infer(image: Any) -> Any:
        extractor = network.create_extractor()
        extractor.input("in0", image)
        _, output = extractor.extract("out0")
        return np.array(output)

    return lambda image: ncnn.Mat(image[0]).clone(), infer


def _torch(file: Path) -> tuple[Infer, Infer]:
    import torch
    import torch._inductor.config

    torch.set_num_threads(1)
    torch._inductor.config.freezing = True
    compiled = torch.compile(torch.export.load(file).module())

    def infer(image: Any) -> Any:
        with torch.no_grad():
            return compiled(image).numpy()

    return torch.from_numpy, infer


LOADERS: dict[str, Callable[[Path], tuple[Infer, Infer]]] = {
    "auto": _auto, "onnxruntime": _onnxruntime, "openvino": _openvino, "litert": _litert,
    "ncnn": _ncnn, "torch.compile": _torch,
}  # fmt: skip


def main(engine: str, file: Path, images: Path) -> None:
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    prepare, infer = LOADERS[engine](file)
    ready = [prepare(image[None]) for image in np.load(images)]

    def run(index: int) -> None:
        infer(ready[index % len(ready)])

    count = block_runs(run)
    answers.write(json.dumps(np.ravel(infer(ready[0])).astype(float).tolist()) + "\n")
    for line in sys.stdin:
        answers.write(json.dumps(timed_block(run, count, int(line))) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
