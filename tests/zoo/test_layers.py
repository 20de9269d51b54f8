"""The layer table says what runs, what it costs and what it sees."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecnn.zoo import find, names
from edgecnn.zoo.count import macs, parameters
from edgecnn.zoo.layers import Layer, LayerTable, layer_table


def table(name: str) -> LayerTable:
    spec = find(name)
    with torch.device("meta"):
        network = spec.build()
    return layer_table(network.to_empty(device="cpu"), spec.preprocess.tensor_shape())


def named(found: LayerTable, name: str) -> Layer:
    (row,) = (layer for layer in found.layers if layer.name == name)
    return row


def test_lenet_row_by_row() -> None:
    found = table("lenet5")
    rows = [
        (row.name, row.kind, row.output_shape, row.kernel, row.parameters, row.macs)
        for row in found.layers
    ]
    assert rows == [
        ("c1", "convolution", (6, 28, 28), (5, 5), (25 + 1) * 6, 28 * 28 * 6 * 25),
        ("subsample", "max pool", (6, 14, 14), (2, 2), 0, 0),
        ("c3", "convolution", (16, 10, 10), (5, 5), (25 * 6 + 1) * 16, 10 * 10 * 16 * 6 * 25),
        ("subsample", "max pool", (16, 5, 5), (2, 2), 0, 0),
        ("c5", "convolution", (120, 1, 1), (5, 5), (25 * 16 + 1) * 120, 120 * 16 * 25),
        ("f6", "linear", (84,), None, 121 * 84, 120 * 84),
        ("output", "linear", (10,), None, 85 * 10, 84 * 10),
    ]
    assert [row.receptive_field[0] for row in found.layers] == [5, 6, 14, 16, 32, 32, 32]
    assert found.layers[0].activation_bytes == 4 * 6 * 28 * 28
    assert found.layers[0].share == found.layers[0].macs / found.macs
    assert sum(row.share for row in found.layers) == pytest.approx(1)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name.endswith(("0", "v3", "net")) else pytest.mark.slow)
        for name in names()
    ],
)
def test_the_rows_add_up_to_the_network(name: str) -> None:
    spec, found = find(name), table(name)
    with torch.device("meta"):
        network = spec.build()
    assert found.macs == macs(network.to_empty(device="cpu"), spec.preprocess.tensor_shape())
    assert found.parameters == parameters(network)
    # The one parameter outside of layers is SSD300's scale of its first map.
    outside = 512 if name == "ssd300_vgg16" else 0
    assert sum(row.parameters for row in found.layers) + outside == found.parameters
    assert all(row.name for row in found.layers)


@pytest.mark.parametrize(
    ("name", "layer", "pixels"),
    [
        # Araujo, Norris, Sim: Computing receptive fields of convolutional neural networks.
        ("alexnet", "features.12", 195),
        ("vgg16", "features.30", 212),
        ("inception_v3", "avgpool", 1311 + 7 * 32),  # theirs ends before the average
        ("mobilenetv1", "features.26.0", 315),
        # The same rule by hand.
        ("resnet18", "layer4.1.conv2", 435),
        ("unet", "down.4.2", 140),
    ],
)
def test_receptive_fields_are_the_known_ones(name: str, layer: str, pixels: int) -> None:
    assert named(table(name), layer).receptive_field == (pixels, pixels)


def test_gates_do_not_widen_what_a_place_sees() -> None:
    found = table("mobilenetv3_small")
    gate = named(found, "features.1.block.1.fc2")
    after = named(found, "features.1.block.2.0")
    assert gate.receptive_field[0] > 224
    assert after.receptive_field == (7, 7)


def test_kernels_need_not_be_square() -> None:
    row = named(table("inception_v3"), "Mixed_6b.branch7x7_2.conv")
    assert (row.kernel, row.padding) == ((1, 7), (0, 3))
    below = named(table("inception_v3"), "Mixed_6b.branch7x7_1.conv").receptive_field
    assert row.receptive_field == (below[0], below[1] + 6 * 16)


def test_what_a_stride_cuts_off_is_said() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 11, stride=4), nn.MaxPool2d(3, stride=2))
    first, pool = layer_table(network, (1, 3, 224, 225)).layers
    assert first.output_shape == (4, 54, 54)
    assert first.cut_off == (1, 2)
    assert first.note == "the last 1 row and 2 columns of its input unused"
    assert pool.cut_off == (1, 1)
    padded = named(table("alexnet"), "features.0")
    assert (padded.remainder, padded.cut_off) == ((1, 1), (0, 0))
    assert padded.note == "the last 1 row and 1 column of its padding unused"
    assert named(table("vgg11"), "features.0").note is None
    assert named(table("squeezenet1_1"), "features.2").note is None  # takes the half window too


def test_padding_before_a_layer_is_said() -> None:
    """TensorFlow's networks pad on the right and the bottom, which no convolution does itself."""
    stem = named(table("mobilenetv1"), "features.0.1")
    assert (stem.padding, stem.padded) == ((0, 0), (0, 1, 0, 1))
    assert stem.padding_note == "its input is padded before: 1 at the bottom, 1 right"
    assert stem.note is None
    wide = named(table("efficientnet_lite0"), "_blocks.3._depthwise_conv")
    assert wide.padded == (1, 2, 1, 2)
    assert named(table("mobilenetv1"), "features.1.0").padding_note is None
    # ResNet's option A pads channels, not places.
    assert all(row.padded == (0, 0, 0, 0) for row in table("resnet20").layers)


def test_what_is_cut_off_of_padding_is_no_part_of_the_input() -> None:
    network = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(1, 1, 3, stride=2))
    (row,) = layer_table(network, (1, 1, 9, 8)).layers
    assert (row.remainder, row.cut_off) == ((1, 0), (0, 0))
    assert row.note == "the last 1 row of its padding unused"
    (row,) = layer_table(network[1:], (1, 1, 10, 9)).layers
    assert row.note == "the last 1 row of its input unused"


def test_padding_may_be_a_word() -> None:
    same = nn.Conv2d(1, 1, (3, 5), padding="same", dilation=2)
    first, second = layer_table(
        nn.Sequential(same, nn.Conv2d(1, 1, 3, padding="valid")), (1, 1, 12, 12)
    ).layers
    assert (first.padding, first.output_shape, first.note) == ((2, 4), (1, 12, 12), None)
    assert (second.padding, second.output_shape) == ((0, 0), (1, 10, 10))


class Halves(nn.Module):
    """Splits its maps, as ShuffleNet does, and names what it joins."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Conv2d(2, 3, 3), nn.Conv2d(2, 3, 3)

    def forward(self, images: Tensor) -> Tensor:
        left, right = images.chunk(2, 1)
        maps = torch.cat(tensors=[self.one(left), self.other(right)], dim=1)
        return functional.max_pool2d(maps, 2)


def test_maps_that_are_split_and_joined_are_followed() -> None:
    network = Halves()
    found = layer_table(network, (1, 4, 8, 8))
    assert [row.name for row in found.layers] == ["one", "other", ""]
    assert found.macs == macs(network, (1, 4, 8, 8))
    assert found.layers[-1].receptive_field == (4, 4)


class Functions(nn.Module):
    """Layers without modules, as networks of elsewhere have them."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(2, 2, 2, stride=2, groups=2)

    def forward(self, images: Tensor) -> Tensor:
        maps = functional.max_pool2d(images, kernel_size=2)
        maps = torch.cat([functional.avg_pool2d(maps, 3, 1, 1), maps], 1)
        return self.up(functional.relu(maps, inplace=True))  # type: ignore[no-any-return]


def test_functions_and_transposed_convolutions_have_rows_too() -> None:
    network = Functions()
    pool, average, up = layer_table(network, (1, 1, 8, 8)).layers
    assert (pool.kind, pool.stride, pool.receptive_field) == ("max pool", (2, 2), (2, 2))
    assert (average.kind, average.stride, average.receptive_field) == (
        "average pool", (1, 1), (6, 6)
    )  # fmt: skip
    assert (up.kind, up.name, up.output_shape, up.groups) == ("transposed", "up", (2, 8, 8), 2)
    assert (up.parameters, up.macs) == (10, 2 * 4 * 4 * 4)
    assert up.receptive_field == (6, 6)  # each output comes from one input


def test_the_table_leaves_the_network_as_it_was() -> None:
    network = find("mobilenetv2").build(width=0.25, num_classes=3).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    layer_table(network, (1, 3, 64, 64))
    assert network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in network.modules())


def test_images_that_do_not_fit() -> None:
    with pytest.raises(RuntimeError):
        layer_table(find("lenet5").build(), (1, 3, 32, 32))
