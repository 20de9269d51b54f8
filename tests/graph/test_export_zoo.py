"""Every network of the zoo, with random weights, through the whole export."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from edgecnn.datasets.natural import natural_images
from edgecnn.graph.export import Exported, export_checked
from edgecnn.runtime.preprocess import preprocess
from edgecnn.zoo.catalog import ModelSpec, find

FAST = ("lenet5",)
ALL = (
    *("lenet5", "vgg11", "vgg16", "resnet18", "resnet50", "mobilenetv2"),
    *("efficientnet_lite0", "squeezenet1_1"),
)
OPERATORS = frozenset(
    {"Add", "AveragePool", "Clip", "Concat", "Conv", "Flatten", "Gemm", "GlobalAveragePool",
     "MaxPool", "Relu", "Tanh"}
)  # fmt: skip


def images(spec: ModelSpec, count: int) -> tuple[np.ndarray, ...]:
    height, width = spec.preprocess.size
    return tuple(
        preprocess(image, spec.preprocess)
        for image in natural_images(count, height=height, width=width, seed=1)
    )


def network(spec: ModelSpec) -> nn.Module:
    torch.manual_seed(0)
    return spec.build(num_classes=10 if spec.labels == "digits" else 1000)


def export(spec: ModelSpec, module: nn.Module) -> Exported:
    return export_checked(
        module, input_shape=spec.preprocess.tensor_shape(), images=images(spec, 2)
    )


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in FAST else pytest.mark.slow) for name in ALL],
)
def test_a_network_of_the_zoo(name: str) -> None:
    spec = find(name)
    module = network(spec)
    exported = export(spec, module)
    assert (exported.exporter, exported.opset, exported.notes) == ("dynamo", 17, ())
    assert exported.parity.rel < 2e-5
    assert {node.op_type for node in exported.model.graph.node} <= OPERATORS
    parameters = sum(value.numel() for value in module.parameters())
    assert exported.model.ByteSize() < 4 * parameters + 50_000

    weights = {
        name for name, layer in module.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)
    }
    named = {item.name.removesuffix(".weight") for item in exported.model.graph.initializer}
    assert weights <= named
