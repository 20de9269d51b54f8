"""How big a network is: parameters and multiply-accumulates."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from edgecnn.zoo.blocks import AuxiliaryHead


def parameters(network: nn.Module) -> int:
    """The number of trained values that inference uses.

    Batch-norm statistics are not trained, and auxiliary heads only train: neither is counted.
    """
    auxiliary = [layer for layer in network.modules() if isinstance(layer, AuxiliaryHead)]
    return _values(network) - sum(_values(layer) for layer in auxiliary)


def _values(layer: nn.Module) -> int:
    return sum(parameter.numel() for parameter in layer.parameters())


def macs(network: nn.Module, input_shape: tuple[int, int, int, int]) -> int:
    """Multiply-accumulates of the convolutions (transposed ones too) and linear layers for one
    input (N, C, H, W).

    Everything else (biases, norms, activations, pooling) is left out, as in published figures.
    """
    batch, *image = input_shape
    device = next(network.parameters()).device
    counter = _MacCounter()
    # An empty batch goes through all layers, has all shapes, and costs nothing.
    with evaluating(network), torch.no_grad(), counter:
        network(torch.empty((0, *image), device=device))
    return batch * counter.per_image


@contextlib.contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Eval mode, in which nothing in the network changes; undone layer by layer."""
    training = [layer for layer in network.modules() if layer.training]
    network.eval()
    try:
        yield
    finally:
        for layer in training:
            layer.training = True


class _MacCounter(TorchFunctionMode):
    """Watches every PyTorch function that is called, and adds up the counted ones."""

    def __init__(self) -> None:
        super().__init__()
        self.per_image = 0

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        output = function(*args, **(kwargs or {}))
        if function in (functional.conv2d, functional.linear):
            weight = args[1]
            # Each output value sums as many products as an output channel has weights.
            self.per_image += math.prod(output.shape[1:]) * weight[0].numel()
        elif function is functional.conv_transpose2d:
            # Each input value is spread with as many products as an input channel has weights.
            self.per_image += math.prod(args[0].shape[1:]) * args[1][0].numel()
        return output
