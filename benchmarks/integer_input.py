"""What an input of integers would save: the normalisation folded into the graph.

    python -m benchmarks.integer_input

SqueezeNet 1.1 INT8, whose first layer is quantized, one thread, 1280x720 to 224. Normalising and
then rounding to the first layer's integers is a function of one 8-bit value and its channel, so a
file could begin behind its first QuantizeLinear and be given table[pixel], to the very same
answers: checked here first. "table" is that in NumPy, "free" a bound below which no implementation
gets: the integers cost nothing at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from benchmarks.networks import OUTPUT, files
from edgecnn.datasets.natural import natural_images
from edgecnn.runtime import Model, build_helper, load
from edgecnn.runtime.preprocess import Image, Tensor, resized
from edgecnn.runtime.race import race, ratio

Integers = NDArray[Any]


Quantized = Callable[[Tensor], Integers]


def cut(model: onnx.ModelProto) -> tuple[onnxruntime.InferenceSession, Quantized]:
    """The graph behind its first QuantizeLinear, and what that makes of a float32 tensor."""
    graph = model.graph
    (first,) = (node for node in graph.node if graph.input[0].name in node.input)
    assert first.op_type == "QuantizeLinear", "its input is quantized"
    known = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    scale, zero = known[first.input[1]], known[first.input[2]]
    limits = np.iinfo(zero.dtype)

    def quantized(tensor: Tensor) -> Integers:
        steps = np.rint(tensor / scale) + np.float32(zero)
        integers: Integers = np.clip(steps, limits.min, limits.max).astype(zero.dtype)
        return integers

    shape = [size.dim_value for size in graph.input[0].type.tensor_type.shape.dim]
    dtype = helper.np_dtype_to_tensor_dtype(zero.dtype)
    graph.node.remove(first)
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info(first.output[0], dtype, shape))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session, quantized


def tables(model: Model, quantized: Quantized) -> Integers:
    """The integer of each 8-bit value, (channel, 256)."""
    size = model.contract.preprocess.size
    flat = [model.preprocess(np.full((*size, 3), value, np.uint8)) for value in range(256)]
    return quantized(np.stack([tensor[0, :, 0, 0] for tensor in flat], axis=1))


def main() -> None:
    """Measure the two inputs against each other."""
    OUTPUT.mkdir(exist_ok=True)
    _, int8 = files("squeezenet1_1")
    build_helper()
    session, quantized = cut(onnx.load(int8))
    (name,) = (item.name for item in session.get_inputs())
    frame = next(natural_images(1, height=720, width=1280, seed=3))
    with load(int8, threads=1) as model:
        table, spec = tables(model, quantized), model.contract.preprocess
        given = np.empty((1, 3, *spec.size), table.dtype)
        tensor = model.preprocess(frame)
        own = model.engine.inputs[0].name

        def looked_up(image: Image) -> Integers:
            pixels = resized(image, spec)
            for channel in range(3):
                np.take(table[channel], pixels[:, :, channel], out=given[0, channel])
            return given

        (answer,) = model.engine.run({own: tensor}).values()
        (same,) = session.run(None, {name: looked_up(frame)})
        assert np.array_equal(answer, same), "the very same answer"
        ways = {
            "engine, floats": lambda _: model.engine.run({own: tensor}),
            "engine, integers": lambda _: session.run(None, {name: given}),
            "frame, floats": lambda _: model.engine.run({own: model.preprocess(frame, out=tensor)}),
            "frame, table": lambda _: session.run(None, {name: looked_up(frame)}),
            "frame, free": lambda _: (resized(frame, spec), session.run(None, {name: given})),
        }
        taken_ms = dict(zip(ways, race([partial(_run, way) for way in ways.values()]), strict=True))
    (OUTPUT / "integer_input.json").write_text(
        json.dumps({"format": 1, **{name: ms.tolist() for name, ms in taken_ms.items()}})
    )
    for name, ms in taken_ms.items():
        against = taken_ms["engine, floats" if name.startswith("engine") else "frame, floats"]
        print(f"{name:<18}{ms.mean():6.2f} ms   {ratio(ms, against).told}")


def _run(way: Callable[[int], object], number: int) -> None:
    way(number)


if __name__ == "__main__":
    main()
