"""The arithmetic of convolutional layers: sizes, parameters, multiply-accumulates, what they see.

Plain functions of whole numbers along one side, with PyTorch's words and conventions:
https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html
"""

from __future__ import annotations

from collections.abc import Iterable


def conv_span(kernel: int, dilation: int = 1) -> int:
    """Pixels from the first to the last that a kernel touches."""
    return dilation * (kernel - 1) + 1


def conv_output(
    size: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1
) -> int:
    """Pixels that a convolution or a pool gives: floor((W - F + 2P) / S) + 1.

    Raises ValueError where the kernel is larger than the padded input.
    """
    room = size + 2 * padding - conv_span(kernel, dilation)
    if room < 0:
        raise ValueError(f"a kernel of {kernel} does not fit {size} pixels with padding {padding}")
    return room // stride + 1


def conv_remainder(
    size: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1
) -> int:
    """Pixels at the end of the padded input that no position of the kernel reaches: the remainder
    of (W - F + 2P) / S.
    """
    return (size + 2 * padding - conv_span(kernel, dilation)) % stride


def conv_cut_off(
    size: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1
) -> int:
    """How many of those pixels are the input's own; the padding is left out first."""
    remainder = conv_remainder(size, kernel, stride=stride, padding=padding, dilation=dilation)
    return max(0, remainder - padding)


def transposed_output(
    size: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    dilation: int = 1,
) -> int:
    """Pixels that a transposed convolution gives: (W - 1) S - 2P + F + the output's padding."""
    return (size - 1) * stride - 2 * padding + conv_span(kernel, dilation) + output_padding


def conv_parameters(
    in_channels: int,
    out_channels: int,
    kernel: tuple[int, int],
    *,
    groups: int = 1,
    bias: bool = True,
) -> int:
    """Values of a convolution: (F F C / groups + 1) K, without the 1 if it has no bias."""
    height, width = kernel
    return (height * width * in_channels // groups + bias) * out_channels


def conv_macs(
    in_channels: int,
    out_channels: int,
    kernel: tuple[int, int],
    *,
    output: tuple[int, int],
    groups: int = 1,
) -> int:
    """Multiply-accumulates of a convolution for one image; biases are not counted."""
    weights = conv_parameters(in_channels, out_channels, kernel, groups=groups, bias=False)
    height, width = output
    return weights * height * width


def linear_parameters(in_features: int, out_features: int, *, bias: bool = True) -> int:
    """Values of a linear layer."""
    return (in_features + bias) * out_features


def receptive_field(layers: Iterable[tuple[int, int, int]]) -> int:
    """Pixels of the input along one side that one output pixel sees through all layers.

    Each layer is (kernel, stride, dilation), the first one first. With r the field and j the
    distance between neighbouring outputs in input pixels: r += (F - 1) D j, then j *= S
    (Araujo, Norris, Sim: Computing receptive fields of convolutional neural networks, Distill 2019,
    https://distill.pub/2019/computing-receptive-fields).
    """
    field, jump = 1, 1
    for kernel, stride, dilation in layers:
        field += (conv_span(kernel, dilation) - 1) * jump
        jump *= stride
    return field
