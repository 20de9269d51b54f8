"""A network of the catalog without its weights: enough to count it and to look at its layers."""

from __future__ import annotations

import torch
from torch import nn

from edgecnn.zoo.count import macs, parameters
from edgecnn.zoo.spec import ModelSpec

_COLOURS = 3


def count(spec: ModelSpec) -> tuple[int, int]:
    """Parameters, and multiply-accumulates for one image of the network's own size."""
    network = bare(spec)
    return parameters(network), macs(network, spec.preprocess.tensor_shape())


def channels(network: nn.Module) -> int:
    """How many channels the images of a network have: as many as its first convolution takes."""
    found = (layer for layer in network.modules() if isinstance(layer, nn.Conv2d))
    return next((layer.in_channels for layer in found), _COLOURS)


def bare(spec: ModelSpec) -> nn.Module:
    """The network with addresses for its weights but no contents: no memory is touched."""
    with torch.device("meta"):
        network = spec.build()
    return network.to_empty(device="cpu")
