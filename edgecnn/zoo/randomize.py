"""Random weights that behave like a network's: for timing and for trying the tools out."""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecnn.zoo.blocks import initialize
from edgecnn.zoo.spec import ModelSpec

_SETTLING_IMAGES = 2
_TEXTURE_CELLS = (2, 4, 8, 16, 32)


def random_network(spec: ModelSpec, *, seed: int) -> nn.Module:
    """A network at step 0 of its training, in eval mode; torch's own generator is left alone.

    Fresh weights alone are not enough: the batch norms' statistics are those of one batch of
    textures, as they would be after the first step. Otherwise the signal would fade or explode.
    """
    with torch.device("meta"):
        network = spec.build()
    network.to_empty(device="cpu")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        initialize(network)
        _settle(network, _textures(spec.preprocess.tensor_shape(batch=_SETTLING_IMAGES)))
    return network.eval()


def content_sha256(network: nn.Module) -> str:
    """The sha256 of a network's parameters and statistics with their names, as hex."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.reshape(-1).numpy())
    return digest.hexdigest()


def _settle(network: nn.Module, images: Tensor) -> None:
    """Give every batch norm the statistics of this batch."""
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    if not norms:
        return
    network.eval()
    momentum = norms[0].momentum
    for norm in norms:
        norm.train()
        norm.momentum = 1.0  # the batch replaces what was there
    with torch.no_grad():
        network(images)
    for norm in norms:
        norm.momentum = momentum


def _textures(shape: tuple[int, ...]) -> Tensor:
    """Smooth noise of several scales, about as large in value as normalised photos."""
    batch, channels, *sides = shape
    total = torch.zeros(shape)
    for cells in _TEXTURE_CELLS:
        noise = torch.randn(batch, channels, cells, cells)
        total += functional.interpolate(noise, size=sides, mode="bilinear")
    return total / math.sqrt(len(_TEXTURE_CELLS))
