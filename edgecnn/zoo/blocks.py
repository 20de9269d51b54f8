"""What several families share: the rule for narrower layers, and how weights begin."""

from __future__ import annotations

from torch import nn

_HEAD_DEVIATION = 0.01


def scale_channels(channels: int, width: float) -> int:
    """`channels` times `width`, rounded to a multiple of 8 and never more than a tenth below it.

    The rounding of MobileNet's reference code; multiples of 8 are what vector units like.
    """
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * wanted else rounded + 8


def initialize(network: nn.Module) -> None:
    """Draw fresh weights from torch's global generator (seed it with `torch.manual_seed`).

    Convolutions and hidden linear layers: normal with variance 2 / fan-in, so that the signal keeps
    its size through layers of ReLU (He et al. 2015, arXiv:1502.01852). The last linear layer, which
    gives the classes: normal with deviation 0.01 (as in the VGG paper), so that training begins
    without an opinion. Biases 0, batch norms neutral.
    """
    head = None
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
        # On the meta device there are only shapes, and drawing "values" would load the compiler.
        elif isinstance(layer, nn.Conv2d | nn.Linear) and not layer.weight.is_meta:
            head = layer
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    if head is not None:
        nn.init.normal_(head.weight, std=_HEAD_DEVIATION)
