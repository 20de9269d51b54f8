"""Which graph of ONNX Runtime's operators computes HardSwish and SiLU fastest from INT8 to INT8.

    make bench-activations        or        python -m benchmarks.activations

200,704 values (64 channels of 56 x 56) of uint8 to uint8 on one thread, all graphs in turn, as they
stand: the optimiser changes nothing. Medians in µs with each one's share of the first's time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from edgecnn.runtime.measure import Run
from edgecnn.runtime.race import race, ratio

SHAPE = (1, 64, 56, 56)
SCALE, ZERO_POINT = 0.05, 100
GATE_SCALE = 1 / 256
_MICROSOFT = "com.microsoft"

Node = tuple[str, str, str]
"""Operator, its inputs and its output, names apart by spaces."""

IN, OUT, GATE = "scale zero", "out_scale out_zero", "gate_scale gate_zero"
_GATED = f"x {IN} gate {GATE} {OUT}"
GRAPHS: dict[str, dict[str, tuple[Node, ...]]] = {
    "HardSwish": {
        "DequantizeLinear, HardSwish, QuantizeLinear": (
            ("DequantizeLinear", f"x {IN}", "f"),
            ("HardSwish", "f", "g"),
            ("QuantizeLinear", f"g {OUT}", "y"),
        ),
        "DequantizeLinear, HardSigmoid, QuantizeLinear, QLinearMul": (
            ("DequantizeLinear", f"x {IN}", "f"),
            ("HardSigmoid", "f", "g"),
            ("QuantizeLinear", f"g {GATE}", "gate"),
            ("QLinearMul", _GATED, "y"),
        ),
        "Cast, Gather in a table of 256": (
            ("Cast", "x", "index"),
            ("Gather", "table index", "y"),
        ),
    },
    "SiLU": {
        "QLinearSigmoid, QLinearMul": (
            ("QLinearSigmoid", f"x {IN} {GATE}", "gate"),
            ("QLinearMul", _GATED, "y"),
        ),
        "DequantizeLinear, QuickGelu, QuantizeLinear": (
            ("DequantizeLinear", f"x {IN}", "f"),
            ("QuickGelu", "f", "g"),
            ("QuantizeLinear", f"g {OUT}", "y"),
        ),
        "DequantizeLinear, Sigmoid, Mul, QuantizeLinear": (
            ("DequantizeLinear", f"x {IN}", "f"),
            ("Sigmoid", "f", "s"),
            ("Mul", "f s", "g"),
            ("QuantizeLinear", f"g {OUT}", "y"),
        ),
    },
}
_ATTRIBUTES: dict[str, dict[str, Any]] = {
    "HardSigmoid": {"alpha": 1 / 6, "beta": 0.5},
    "Cast": {"to": TensorProto.INT32},
    "QuickGelu": {"alpha": 1.0},
}


def session(nodes: tuple[Node, ...]) -> onnxruntime.InferenceSession:
    """A graph as a session that runs it as it stands."""
    constants = {
        "scale": np.float32(SCALE), "zero": np.uint8(ZERO_POINT),
        "out_scale": np.float32(SCALE), "out_zero": np.uint8(ZERO_POINT),
        "gate_scale": np.float32(GATE_SCALE), "gate_zero": np.uint8(0),
        "table": np.arange(256, dtype=np.uint8),
    }  # fmt: skip
    made = [
        helper.make_node(
            op,
            inputs.split(),
            [output],
            domain=_MICROSOFT if op.startswith("QLinear") or op == "QuickGelu" else "",
            **_ATTRIBUTES.get(op, {}),
        )
        for op, inputs, output in nodes
    ]
    read = {name for node in made for name in node.input}
    graph = helper.make_graph(
        made,
        "activation",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, SHAPE)],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, SHAPE)],
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in constants.items()
            if name in read
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(_MICROSOFT, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def run_of(opened: onnxruntime.InferenceSession) -> Run:
    """One run of a session on random integers."""
    values = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    return lambda _: opened.run(None, {"x": values})


def main() -> None:
    """All graphs of both functions in turn."""
    graphs = [(name, nodes) for ways in GRAPHS.values() for name, nodes in ways.items()]
    blocks = race([run_of(session(nodes)) for _, nodes in graphs])
    found = {name: each for (name, _), each in zip(graphs, blocks, strict=True)}
    for function, ways in GRAPHS.items():
        first = found[next(iter(ways))]
        for name in ways:
            median_us = 1e3 * float(np.median(found[name]))
            print(
                f"{function:<10} {name:<58} {median_us:7.0f} µs  {ratio(found[name], first).told}"
            )


if __name__ == "__main__":
    main()
