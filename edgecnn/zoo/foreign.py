"""What a network that somebody else built must be, to be written as a file of float32."""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from edgecnn.errors import UsageError


def check_weights(name: str, network: nn.Module) -> None:
    """Raise UsageError for weights without values, or of another type than float32."""
    tensors = itertools.chain(network.named_parameters(), network.named_buffers())
    for key, tensor in tensors:
        if is_lazy(tensor):
            raise UsageError(
                f"{name}: {key} has no shape yet, as its layer is lazy",
                hint="run the network once on an image before it is returned",
            )
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            raise UsageError(
                f"{name}: {key} is {str(tensor.dtype).removeprefix('torch.')}, not float32",
                hint="return network.float(); a file is made smaller by edgecnn quantize",
            )
