"""Does this processor add products of integers exactly? Asked of ONNX Runtime's own kernels.

Without VNNI, x86-64 multiplies uint8 by int8 with an instruction (vpmaddubsw) that adds two
products in 16 bits and saturates: 255 * 127 * 2 does not fit. Weights of 7 bits do.
"""

from __future__ import annotations

import functools
import platform

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edgecnn.graph.model_io import NEWEST_IR
from edgecnn.graph.session import Session
from edgecnn.graph.targets import Target, find_target

_ROWS, _DEPTH, _COLUMNS = 16, 256, 64


@functools.cache
def saturates() -> bool:
    """Whether the largest uint8 times the largest int8 comes out wrong, summed in ONNX Runtime."""
    weights = np.full((_DEPTH, _COLUMNS), 127, np.int8)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["values", "weights"], ["sums"])],
        "saturation",
        [helper.make_tensor_value_info("values", TensorProto.UINT8, [_ROWS, _DEPTH])],
        [helper.make_tensor_value_info("sums", TensorProto.INT32, [_ROWS, _COLUMNS])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(
        graph, ir_version=NEWEST_IR, opset_imports=[helper.make_opsetid("", 17)]
    )
    sums = Session(model, threads=1).run(np.full((_ROWS, _DEPTH), 255, np.uint8))[0]
    return bool(np.any(sums != 255 * 127 * _DEPTH))


def local_target(machine: str | None = None) -> Target:
    """The target of this processor, or of a `machine` as platform.machine() names it."""
    if (machine or platform.machine()).lower() in ("aarch64", "arm64"):
        return find_target("onnxruntime-arm")
    return find_target("onnxruntime-x86-avx2" if saturates() else "onnxruntime-x86")
