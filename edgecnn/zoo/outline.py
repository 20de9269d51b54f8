"""A network of the catalog without its weights: enough to count it and to look at its layers."""

from __future__ import annotations

import torch
from torch import nn

from edgecnn.zoo.count import macs, parameters
from edgecnn.zoo.layers import LayerTable, layer_table
from edgecnn.zoo.spec import ModelSpec


def count(spec: ModelSpec) -> tuple[int, int]:
    """Parameters, and multiply-accumulates for one image of the network's own size."""
    network = _outline(spec)
    return parameters(network), macs(network, spec.preprocess.tensor_shape())


def describe_layers(spec: ModelSpec) -> LayerTable:
    """A network layer by layer at its own input size, without drawing weights for it."""
    return layer_table(_outline(spec), spec.preprocess.tensor_shape())


def _outline(spec: ModelSpec) -> nn.Module:
    """The network with addresses for its weights but no contents: no memory is touched."""
    with torch.device("meta"):
        network = spec.build()
    return network.to_empty(device="cpu")
