"""The arithmetic of layers is PyTorch's, and the textbook's examples come out."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from edgecnn.zoo.arithmetic import (
    conv_cut_off,
    conv_macs,
    conv_output,
    conv_parameters,
    conv_remainder,
    conv_span,
    linear_parameters,
    receptive_field,
    transposed_output,
)
from edgecnn.zoo.count import macs

# The first call of any layer takes PyTorch a while.
unhurried = settings(deadline=None)

SIZES = st.integers(1, 40)
KERNELS = st.integers(1, 7)
STRIDES = st.integers(1, 4)
PADDINGS = st.integers(0, 5)
DILATIONS = st.integers(1, 3)


@unhurried
@given(size=SIZES, kernel=KERNELS, stride=STRIDES, padding=PADDINGS, dilation=DILATIONS)
def test_output_sizes_are_pytorchs(
    size: int, kernel: int, stride: int, padding: int, dilation: int
) -> None:
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    layer = nn.Conv2d(1, 1, (1, kernel), (1, stride), (0, padding), (1, dilation))
    line = torch.zeros(1, 1, 1, size)
    if size + 2 * padding < conv_span(kernel, dilation):
        with pytest.raises(ValueError, match=f"a kernel of {kernel} does not fit {size} pixels"):
            conv_output(size, kernel, **options)
        with pytest.raises(RuntimeError):
            layer(line)
    else:
        assert layer(line).shape[3] == conv_output(size, kernel, **options)


@unhurried
@given(
    size=SIZES,
    kernel=KERNELS,
    stride=STRIDES,
    padding=PADDINGS,
    dilation=DILATIONS,
    output_padding=st.integers(0, 3),
)
def test_transposed_output_sizes_are_pytorchs(
    size: int, kernel: int, stride: int, padding: int, dilation: int, output_padding: int
) -> None:
    assume(output_padding < max(stride, dilation))
    options = {
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "output_padding": output_padding,
    }
    expected = transposed_output(size, kernel, **options)
    assume(expected >= 1)
    layer = nn.ConvTranspose2d(
        1,
        1,
        (1, kernel),
        stride=(1, stride),
        padding=(0, padding),
        output_padding=(0, output_padding),
        dilation=(1, dilation),
    )
    assert layer(torch.zeros(1, 1, 1, size)).shape[3] == expected


@unhurried
@given(size=SIZES, kernel=KERNELS, stride=STRIDES, padding=PADDINGS, dilation=DILATIONS)
def test_what_is_cut_off_is_what_has_no_influence(
    size: int, kernel: int, stride: int, padding: int, dilation: int
) -> None:
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    assume(size + 2 * padding >= conv_span(kernel, dilation))
    outputs = conv_output(size, kernel, **options)
    reached = (outputs - 1) * stride + conv_span(kernel, dilation) - padding
    assert conv_cut_off(size, kernel, **options) == max(0, size - reached)
    assert conv_remainder(size, kernel, **options) == size + padding - reached


def test_alexnets_first_layer_leaves_a_row_and_a_column_out() -> None:
    # (224 - 11) / 4 is 53.25: the paper's 227, or a padding of 2, makes it fit.
    assert conv_output(224, 11, stride=4) == 54
    assert conv_cut_off(224, 11, stride=4) == 1
    assert (conv_output(227, 11, stride=4), conv_cut_off(227, 11, stride=4)) == (55, 0)
    assert conv_output(224, 11, stride=4, padding=2) == 55
    assert conv_remainder(224, 11, stride=4, padding=2) == 1  # a row of padding, no pixel
    assert conv_cut_off(224, 11, stride=4, padding=2) == 0


@unhurried
@given(
    channels=st.integers(1, 6),
    filters=st.integers(1, 6),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    groups=st.integers(1, 3),
    bias=st.booleans(),
)
def test_parameters_and_macs_are_those_of_the_layer(
    channels: int, filters: int, kernel: tuple[int, int], groups: int, bias: bool
) -> None:
    layer = nn.Conv2d(channels * groups, filters * groups, kernel, groups=groups, bias=bias)
    inputs, outputs = layer.in_channels, layer.out_channels
    assert conv_parameters(inputs, outputs, kernel, groups=groups, bias=bias) == sum(
        values.numel() for values in layer.parameters()
    )
    side = (9 - kernel[0] + 1, 9 - kernel[1] + 1)
    assert conv_macs(inputs, outputs, kernel, output=side, groups=groups) == macs(
        layer, (1, inputs, 9, 9)
    )


def test_a_transposed_convolution_works_as_hard_as_the_one_it_turns_around() -> None:
    up = nn.ConvTranspose2d(6, 4, 3, stride=2, groups=2)
    down = nn.Conv2d(4, 6, 3, stride=2, groups=2)
    assert macs(up, (1, 6, 5, 5)) == macs(down, (1, 4, 11, 11)) == 5 * 5 * 6 * 2 * 3 * 3


def test_linear_layers() -> None:
    assert linear_parameters(25_088, 4096) == 102_764_544  # VGG's first
    assert linear_parameters(10, 3, bias=False) == 30


# The examples of every course.


def test_a_1x1_bottleneck_saves_nine_tenths_of_an_inception_branch() -> None:
    side = (28, 28)
    direct = conv_macs(192, 32, (5, 5), output=side)
    narrow = conv_macs(192, 16, (1, 1), output=side) + conv_macs(16, 32, (5, 5), output=side)
    assert direct == 120_422_400
    assert narrow == 12_443_648


def test_a_depthwise_separable_convolution_of_6x6x3_to_4x4x5() -> None:
    side = (4, 4)
    depthwise = conv_macs(3, 3, (3, 3), output=side, groups=3)
    pointwise = conv_macs(3, 5, (1, 1), output=side)
    assert (depthwise, pointwise, depthwise + pointwise) == (432, 240, 672)
    full = conv_macs(3, 5, (3, 3), output=side)
    assert full == 2160
    # Some course notes print 2,196, which nothing can make true: each of the 4x4x5 outputs costs
    # the same whole number of products, 3x3x3, so that the sum is a multiple of 80.
    assert full == 80 * 27
    assert 2196 % 80 != 0


@unhurried
@given(side=st.integers(5, 12), channels=st.integers(1, 4))
def test_two_3x3_see_what_one_5x5_sees(side: int, channels: int) -> None:
    assert receptive_field([(3, 1, 1)] * 2) == receptive_field([(5, 1, 1)]) == 5
    assert receptive_field([(3, 1, 1)] * 3) == receptive_field([(7, 1, 1)]) == 7
    assert conv_output(conv_output(side, 3), 3) == conv_output(side, 5)
    assert 2 * conv_parameters(channels, channels, (3, 3), bias=False) * 25 == (
        conv_parameters(channels, channels, (5, 5), bias=False) * 18
    )


@unhurried
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 2)), max_size=4))
def test_the_receptive_field_is_where_the_gradient_goes(
    layers: list[tuple[int, int, int]],
) -> None:
    field = receptive_field(layers)
    line = torch.ones(1, 1, 1, field, requires_grad=True)
    maps = line
    for kernel, stride, dilation in layers:
        weight = torch.ones(1, 1, 1, kernel)
        maps = functional.conv2d(maps, weight, stride=(1, stride), dilation=(1, dilation))
    assert maps.shape[3] == 1  # an image of that size gives one output, and a smaller one none
    (gradient,) = torch.autograd.grad(maps.sum(), line)
    reached = gradient.flatten().nonzero()
    assert int(reached.min()) == 0
    assert int(reached.max()) == field - 1


# Transformations that deployment relies on.


@unhurried
@given(channels=st.integers(1, 8), filters=st.integers(1, 8), height=SIZES, seed=st.integers(0, 99))
def test_a_1x1_convolution_is_a_matrix_product(
    channels: int, filters: int, height: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(2, channels, height, 3, generator=generator)
    weight = torch.randn(filters, channels, generator=generator)
    product = (weight @ maps.flatten(2)).reshape(2, filters, height, 3)
    torch.testing.assert_close(functional.conv2d(maps, weight[:, :, None, None]), product)


@unhurried
@given(
    groups=st.integers(1, 3),
    bias=st.booleans(),
    epsilon=st.sampled_from([1e-5, 1e-3]),
    seed=st.integers(0, 99),
)
def test_a_batch_norm_folds_into_its_convolution(
    groups: int, bias: bool, epsilon: float, seed: int
) -> None:
    torch.manual_seed(seed)
    conv = nn.Conv2d(2 * groups, 3 * groups, 3, groups=groups, bias=bias)
    norm = nn.BatchNorm2d(3 * groups, eps=epsilon).eval()
    assert norm.running_mean is not None
    assert norm.running_var is not None
    for values in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(values)
    nn.init.uniform_(norm.running_var, 0.1, 2)
    # W' = W g / s and b' = (b - mean) g / s + beta, with s = sqrt(var + eps).
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    before = torch.zeros(()) if conv.bias is None else conv.bias
    shift = (before - norm.running_mean) * gain + norm.bias
    maps = torch.randn(2, 2 * groups, 5, 5)
    folded = functional.conv2d(maps, conv.weight * gain[:, None, None, None], shift, groups=groups)
    torch.testing.assert_close(norm(conv(maps)), folded, rtol=1e-4, atol=1e-5)
