"""The order of values in memory: on a CPU, convolutions learn up to twice as fast channels last."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def arrange(network: nn.Module, layout: torch.memory_format) -> None:
    """Put the kernels' values into that order in memory."""
    for value in network.parameters():
        if value.ndim == 4:
            value.data = value.data.contiguous(memory_format=layout)


def channels_last(inputs: Tensor) -> Tensor:
    """Images (N, C, H, W) in the order that suits kernels; anything else as it is."""
    return inputs.to(memory_format=torch.channels_last) if inputs.ndim == 4 else inputs
