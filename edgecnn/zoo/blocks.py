"""What several families share: their small blocks, the rule for narrower layers, and how weights
begin.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

_HEAD_DEVIATION = 0.01


class ConvNorm(nn.Sequential):
    """A square convolution without bias that keeps the size, its batch norm, its activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        activation: Callable[[], nn.Module] | None = nn.ReLU,
    ) -> None:
        padding = kernel // 2
        conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False
        )
        layers = (conv, nn.BatchNorm2d(out_channels))
        super().__init__(*layers, *(() if activation is None else (activation(),)))


class SqueezeExcitation(nn.Module):
    """Weigh each channel by a gate between 0 and 1 that sees the average of all channels.

    Hu, Shen, Sun: Squeeze-and-excitation networks, CVPR 2018, arXiv:1709.01507.
    """

    def __init__(
        self,
        channels: int,
        squeezed: int,
        *,
        activation: Callable[[], nn.Module],
        gate: Callable[[], nn.Module],
    ) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.activation = activation()
        self.gate = gate()

    def forward(self, maps: Tensor) -> Tensor:
        """Maps of any shape (N, channels, H, W) to maps of the same shape."""
        gates: Tensor = self.gate(self.fc2(self.activation(self.fc1(self.avgpool(maps)))))
        return maps * gates


class StochasticDepth(nn.Module):
    """In training, leave out a residual branch for some images, and strengthen it for the others.

    Huang, Sun, Liu, Sedra, Weinberger: Deep networks with stochastic depth, ECCV 2016,
    arXiv:1603.09382. `probability` is that of leaving out.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, branch: Tensor) -> Tensor:
        """The branch's output (N, C, H, W); in eval mode it is left alone."""
        if not self.training or self.probability == 0:
            return branch
        kept = 1 - self.probability
        mask = torch.full((branch.shape[0], 1, 1, 1), kept, device=branch.device)
        return branch * (torch.bernoulli(mask) / kept)


class AuxiliaryHead(nn.Module):
    """A classifier in the middle of a network, for its gradient: only training runs it."""


def scale_channels(channels: int, width: float) -> int:
    """`channels` times `width`, rounded to a multiple of 8 and never more than a tenth below it.

    The rounding of MobileNet's reference code; multiples of 8 are what vector units like.
    """
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * wanted else rounded + 8


def set_norms(network: nn.Module, *, epsilon: float, momentum: float = 0.1) -> None:
    """Give every batch norm of a network the constants that its weights were trained with."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps, layer.momentum = epsilon, momentum


def initialize(network: nn.Module) -> None:
    """Draw fresh weights from torch's global generator (seed it with `torch.manual_seed`).

    Convolutions and hidden linear layers: normal with variance 2 / fan-in, so that the signal keeps
    its size through layers of ReLU (He et al. 2015, arXiv:1502.01852). The last layer, which gives
    the classes: normal with deviation 0.01 (as in the VGG paper), so that training begins without
    an opinion; so is the last of each auxiliary head and of each gate, which begins half open.
    Biases 0, batch norms neutral.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            _draw(layer)
        elif callable(reset := getattr(layer, "reset_parameters", None)):
            reset()
    undecided = (AuxiliaryHead, SqueezeExcitation)
    parts = (layer for layer in network.modules() if isinstance(layer, undecided))
    for part in (network, *parts):
        _, last = head(part)
        if not last.weight.is_meta:
            nn.init.normal_(last.weight, std=_HEAD_DEVIATION)


def _draw(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> None:
    # On the meta device there are only shapes, and drawing "values" would load the compiler.
    if layer.weight.is_meta:
        return
    if isinstance(layer, nn.ConvTranspose2d):
        # Its windows lie side by side: an output sums over all inputs, but few places of each.
        fan_in = layer.weight[:, 0].numel() / (layer.groups * math.prod(layer.stride))
        nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_in))
    else:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def head(network: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    """The name of the last linear or convolutional layer, and the layer: it gives the classes."""
    found: tuple[str, nn.Linear | nn.Conv2d] | None = None
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            found = name, layer
    assert found is not None
    return found
