"""Every network of the zoo, with random weights, through the whole export."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from edgecnn.datasets.natural import natural_images
from edgecnn.graph.export import Exported, export_checked
from edgecnn.runtime.preprocess import preprocess
from edgecnn.zoo.catalog import ModelSpec, find, names
from edgecnn.zoo.randomize import random_network

FAST = ("lenet5", "squeezenet1_1")
# Detectors have several outputs and are tested where boxes are made of them.
ALL = tuple(name for name in names() if find(name).task != "detection")
OPERATORS = frozenset(
    {"Add", "AveragePool", "BatchNormalization", "Clip", "Concat", "Conv", "ConvTranspose", "Div",
     "Flatten", "Gemm", "GlobalAveragePool", "HardSigmoid", "HardSwish", "MaxPool", "Mul", "Pad",
     "Relu", "Sigmoid", "Slice", "Tanh"}
)  # fmt: skip
# Response normalisation, written as the mean of squares over neighbouring channels.
MORE = {"vgg11_lrn": {"Pow", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}}
BYTES_A_NODE = 400


def images(spec: ModelSpec, count: int) -> tuple[np.ndarray, ...]:
    height, width = spec.preprocess.size
    return tuple(
        preprocess(image, spec.preprocess)
        for image in natural_images(count, height=height, width=width, seed=1)
    )


def export(spec: ModelSpec, module: nn.Module) -> Exported:
    return export_checked(
        module, input_shape=spec.preprocess.tensor_shape(), images=images(spec, 2)
    )


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in FAST else pytest.mark.slow) for name in ALL]
)
def test_a_network_of_the_zoo(name: str) -> None:
    spec = find(name)
    module = random_network(spec, seed=0)
    exported = export(spec, module)
    assert (exported.exporter, exported.opset, exported.notes) == ("dynamo", 17, ())
    assert exported.parity.rel < 2e-5
    graph = exported.model.graph
    assert {node.op_type for node in graph.node} <= OPERATORS | MORE.get(name, set())
    values = sum(value.numel() for value in module.state_dict().values())
    assert exported.model.ByteSize() < 4 * values + BYTES_A_NODE * len(graph.node)

    weights = {
        name
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear) and not name.lower().startswith("aux")
    }
    named = {item.name.removesuffix(".weight") for item in graph.initializer}
    assert weights <= named
