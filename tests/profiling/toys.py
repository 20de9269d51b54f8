"""A network that names the colour of a picture, and pictures of which it knows the colour."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import PIL.Image
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgecnn.contract import Contract, Preprocess
from edgecnn.onnxfile import read_header, write_contract

# Eight corners of the colour cube: class i is the corner whose bits are i.
COLORS = np.array([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(8)], dtype=np.float32)
SIDE = 16


def write_color_net(
    path: Path,
    *,
    classes: int = 8,
    first_output: int = 0,
    batch: int | str = 1,
    work: int = 0,
    provenance: Mapping[str, Any] | None = None,
) -> Path:
    """Mean colour, then distance to each class; `work` adds 3x3 convolutions that change nothing.

    `first_output` outputs before class 0 are never the best, like a 'background' class.
    """
    model = _model(classes, first_output, batch, work)
    bare = path.with_suffix(".bare")
    bare.write_bytes(model.SerializeToString())
    header = read_header(bare)
    contract = Contract(
        inputs=header.inputs,
        outputs=header.outputs,
        preprocess=Preprocess(size=(SIDE, SIDE)),
        labels=tuple(f"color {index}" for index in range(classes + first_output)),
        provenance=provenance if provenance is not None else {"model": path.stem},
    )
    write_contract(bare, path, contract)
    bare.unlink()
    return path


def color_picture(index: int, *, side: int = 24) -> NDArray[np.uint8]:
    """A picture of class `index`, uint8 (side, side, 3), with a little noise."""
    noise = np.random.default_rng(index).integers(0, 40, (side, side, 3))
    picture: NDArray[np.uint8] = np.abs(COLORS[index % 8] * 255 - noise).astype(np.uint8)
    return picture


def write_pictures(folder: Path, labels: list[int], *, shown: list[int] | None = None) -> Path:
    """One folder per class; `shown` are the colours of the pictures where they differ."""
    for number, (label, color) in enumerate(zip(labels, shown or labels, strict=True)):
        target = folder / f"{label}" / f"{number:04d}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(color_picture(color)).save(target)
    return folder


def _model(classes: int, first_output: int, batch: int | str, work: int) -> onnx.ModelProto:
    corners = COLORS[:classes]
    weights = np.concatenate([np.zeros((first_output, 3), np.float32), 2 * corners])
    bias = np.concatenate([np.full(first_output, -9, np.float32), -(corners**2).sum(axis=1)])
    same = np.zeros((3, 3, 3, 3), np.float32)
    same[range(3), range(3), 1, 1] = 1
    tensors = {"weights": weights.T, "bias": bias, "same": same}
    nodes, last = [], "image"
    for index in range(work):
        nodes.append(helper.make_node("Conv", [last, "same"], [f"busy_{index}"], pads=[1, 1, 1, 1]))
        last = f"busy_{index}"
    nodes += [
        helper.make_node("GlobalAveragePool", [last], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colors",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info(
                "logits", TensorProto.FLOAT, [batch, classes + first_output]
            )
        ],
        [numpy_helper.from_array(value.astype(np.float32), key) for key, value in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
