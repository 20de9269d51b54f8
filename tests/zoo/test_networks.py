"""The small forms of the networks, how they are counted, and their random weights."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from edgecnn.zoo import find
from edgecnn.zoo.blocks import StochasticDepth, scale_channels
from edgecnn.zoo.count import macs, parameters
from edgecnn.zoo.efficientnet_lite import MBConv, same_padding
from edgecnn.zoo.googlenet import googlenet
from edgecnn.zoo.mobilenetv1 import mobilenetv1
from edgecnn.zoo.mobilenetv2 import mobilenetv2
from edgecnn.zoo.randomize import random_network
from edgecnn.zoo.resnet import resnet18
from edgecnn.zoo.vgg import vgg11, vgg11_lrn

# The versions for small grey images that the digits are recognised with.
SMALL = {
    "lenet5": {},
    "vgg11": {"num_classes": 10, "in_channels": 1, "width": 0.125, "small_input": True},
    "resnet18": {"num_classes": 10, "in_channels": 1, "width": 0.125, "small_input": True},
    "mobilenetv2": {"num_classes": 10, "in_channels": 1, "width": 0.25, "small_input": True},
}
# For small photos, besides.
NARROW: dict[str, Any] = {"num_classes": 10, "width": 0.125, "small_input": True}


def small(name: str) -> nn.Module:
    return find(name).build(**SMALL[name])


def test_counting_leaves_the_network_as_it_was_and_scales_with_the_batch() -> None:
    network = small("mobilenetv2").train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    one, three = macs(network, (1, 1, 32, 32)), macs(network, (3, 1, 32, 32))
    assert three == 3 * one
    assert network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_macs_of_layers_that_can_be_counted_by_hand() -> None:
    layers = nn.Sequential(nn.Conv2d(8, 8, 3, groups=4), nn.ReLU(), nn.Flatten(), nn.Linear(32, 5))
    assert macs(layers, (1, 8, 4, 4)) == 8 * 2 * 2 * (2 * 3 * 3) + 32 * 5
    assert parameters(layers) == 8 * 2 * 3 * 3 + 8 + 32 * 5 + 5


@pytest.mark.parametrize("name", SMALL)
def test_training_begins_without_an_opinion_and_reaches_every_parameter(name: str) -> None:
    torch.manual_seed(0)
    network = small(name).train()
    images, classes = torch.randn(16, 1, 32, 32), torch.arange(16) % 10
    loss = functional.cross_entropy(network(images), classes)
    parameters = tuple(network.parameters())
    gradients = torch.autograd.grad(loss, parameters)
    assert loss.item() == pytest.approx(math.log(10), abs=0.2)
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
    assert all(bool(gradient.abs().sum() > 0) for gradient in gradients)


def test_small_networks_are_small() -> None:
    sizes = {name: parameters(small(name)) for name in SMALL}
    assert sizes["lenet5"] == 61_706
    assert 4 * sum(sizes.values()) < 3e6  # bytes of their four checkpoints


def test_small_inputs_keep_their_detail() -> None:
    images = torch.zeros(2, 3, 32, 32)
    assert mobilenetv2(small_input=True, width=0.25).eval().features(images).shape[2:] == (2, 2)
    assert mobilenetv2(width=0.25).eval().features(images).shape[2:] == (1, 1)
    network = resnet18(small_input=True, width=0.125).eval()
    assert network.maxpool(network.conv1(images)).shape[2:] == (32, 32)
    assert vgg11(small_input=True, width=0.125).classifier[0].in_features == 64
    assert mobilenetv1(**NARROW).eval().features(images).shape[2:] == (2, 2)


def test_a_googlenet_for_small_photos_has_no_stem_to_shrink_them() -> None:
    network = googlenet(**NARROW, auxiliary=False).eval()
    sides = []
    for name in ("3a", "4a", "5b"):
        network.get_submodule(f"inception{name}").register_forward_hook(
            lambda _, __, maps: sides.append(maps.shape[-1])
        )
    with torch.no_grad():
        assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert sides == [32, 16, 8]
    # With its heads, which see narrower maps, it trains; at full width it is the paper's.
    assert len(googlenet(**NARROW).train()(torch.zeros(2, 3, 32, 32))) == 3
    assert googlenet(num_classes=10, auxiliary=False).fc.in_features == 1024


@pytest.mark.parametrize("side", [160, 224, 256])
def test_vgg_pools_only_where_the_map_is_not_yet_7x7(side: int) -> None:
    network = vgg11(width=0.125, num_classes=3).eval()
    with torch.no_grad():
        images = torch.randn(1, 3, side, side)
        pooled = network.classifier(torch.flatten(network.avgpool(network.features(images)), 1))
        assert torch.equal(network(images), pooled)


def test_at_its_own_size_vgg_exports_without_a_pool() -> None:
    network = vgg11(width=0.125, num_classes=3).eval()
    graph = torch.export.export(network, (torch.zeros(1, 3, 224, 224),)).graph
    assert not [node for node in graph.nodes if "adaptive" in str(node.target)]


def test_the_lrn_of_vgg11_is_the_papers() -> None:
    """Krizhevsky et al. 2012, section 3.3: k = 2, n = 5, alpha = 1e-4, beta = 0.75, where alpha
    multiplies the sum; PyTorch multiplies the mean of the n.
    """
    network = vgg11_lrn(width=0.125, num_classes=3).eval()
    layers = [layer for layer in network.features if isinstance(layer, nn.LocalResponseNorm)]
    assert len(layers) == 1
    assert isinstance(network.features[0], nn.Conv2d)
    maps = 30 * torch.randn(2, 8, 4, 4)
    (found,) = (layer(maps) for layer in layers)
    squares = functional.pad(maps.square(), (0, 0, 0, 0, 2, 2))
    sums = sum(squares[:, first : first + 8] for first in range(5))
    torch.testing.assert_close(found, maps / (2 + 1e-4 * sums) ** 0.75)
    assert not torch.allclose(found, maps)
    # And the network's answer goes through it.
    images = 50 * torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        normed = network(images)
        place = list(network.features).index(layers[0])
        network.features[place] = nn.Identity()
        assert not torch.allclose(normed, network(images), rtol=1e-3)


# Dropout of each network in the order of its layers, by the paper or the authors' own code.
DROPOUT: dict[str, tuple[float, ...]] = {
    "lenet5": (),
    "alexnet": (0.5, 0.5),
    "nin": (0.5,),
    "vgg16": (0.5, 0.5),
    "googlenet": (0.7, 0.7, 0.2),  # the last is torchvision's; without batch norm, the paper's 0.4
    "inception_v3": (0.5,),
    "resnet18": (),
    "resnet20": (),
    "densenet121": (),
    "fractalnet": (*(0.0,) * 7, *(0.1,) * 7, *(0.2,) * 7, *(0.3,) * 7, *(0.4,) * 7),
    "xception": (0.5,),
    "squeezenet1_0": (0.5,),
    "mobilenetv1": (0.001,),
    "mobilenetv2": (0.2,),
    "mobilenetv3_small": (0.2,),
    "mobilenetv3_large": (0.2,),
    **{f"efficientnet_b{n}": (rate,) for n, rate in enumerate((0.2, 0.2, 0.3, 0.3, 0.4))},
    **{f"efficientnet_lite{n}": (rate,) for n, rate in enumerate((0.2, 0.2, 0.3, 0.3, 0.3))},
    "unet": (0.5,),
    "ssd300_vgg16": (),
    "ssdlite320_mobilenetv3": (),
}


def bare(name: str) -> nn.Module:
    with torch.device("meta"):
        return find(name).build()


@pytest.mark.parametrize("name", DROPOUT)
def test_dropout_is_the_papers(name: str) -> None:
    rates = tuple(layer.p for layer in bare(name).modules() if isinstance(layer, nn.Dropout))
    assert rates == DROPOUT[name]


@pytest.mark.parametrize("name", ["efficientnet_b0", "efficientnet_b4", "efficientnet_lite0"])
def test_stochastic_depth_grows_to_a_fifth(name: str) -> None:
    """The block b of n is left out with a probability of 0.2 b / n, where it has a shortcut."""
    rates = [
        layer.probability for layer in bare(name).modules() if isinstance(layer, StochasticDepth)
    ]
    assert rates == pytest.approx([0.2 * index / len(rates) for index in range(len(rates))])
    assert len(rates) == {"efficientnet_b4": 32}.get(name, 16)


def test_a_block_of_efficientnet_lite_is_left_out_in_training_only() -> None:
    block = MBConv(24, 24, 3, stride=1, expansion=6, left_out=1 - 1e-9)
    maps = torch.randn(4, 24, 8, 8)
    assert torch.equal(block.train()(maps), maps)
    assert not torch.equal(block.eval()(maps), maps)


@pytest.mark.parametrize("name", ["xception", "efficientnet_lite0", "efficientnet_lite4"])
def test_norms_from_tensorflow_have_its_constants(name: str) -> None:
    norms = [layer for layer in bare(name).modules() if isinstance(layer, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}


@given(st.integers(1, 600), st.sampled_from([1, 3, 5]), st.integers(1, 3))
def test_same_padding_is_tensorflows(size: int, kernel: int, stride: int) -> None:
    before, after = same_padding(size, kernel, stride)
    assert before <= after <= before + 1
    padded = before + size + after
    if before + after or padded >= kernel:
        assert (padded - kernel) // stride + 1 == -(-size // stride)


def test_an_odd_pixel_of_padding_goes_to_the_end() -> None:
    assert same_padding(224, 3, 2) == (0, 1)
    assert same_padding(56, 5, 2) == (1, 2)
    assert same_padding(225, 3, 2) == (1, 1)


@given(st.integers(8, 4096), st.floats(0.05, 4))
def test_channels_scale_to_multiples_of_8_and_lose_at_most_a_tenth(
    channels: int, width: float
) -> None:
    scaled = scale_channels(channels, width)
    assert scaled % 8 == 0
    assert scaled >= max(8, 0.9 * channels * width)
    assert scaled <= max(16, 1.1 * channels * width + 8)


@pytest.mark.parametrize(
    "name",
    [
        "lenet5",
        "resnet18",
        "mobilenetv2",
        "mobilenetv3_small",
        "efficientnet_b0",
        "squeezenet1_1",
        *(
            pytest.param(slow, marks=pytest.mark.slow)
            for slow in (
                *("efficientnet_lite0", "resnet50", "vgg16", "vgg11_lrn", "alexnet", "nin"),
                *("googlenet", "inception_v3", "densenet121", "xception", "fractalnet"),
                *("mobilenetv3_large", "efficientnet_b4", "mobilenetv1_0.25", "resnet56"),
            )
        ),
    ],
)
def test_random_networks_give_well_scaled_answers(name: str) -> None:
    spec = find(name)
    network = random_network(spec, seed=0)
    coarse = torch.randn(2, spec.preprocess.channels, 8, 8)
    images = functional.interpolate(coarse, size=spec.preprocess.size, mode="bilinear")
    with torch.no_grad():
        logits = network(images)
    assert not network.training
    assert 0.02 < logits.std() < 3


def test_random_networks_repeat_with_their_seed_and_disturb_nobody() -> None:
    spec = find("lenet5")
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first, again, other = (random_network(spec, seed=seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["c1.weight"], other["c1.weight"])


def test_building_repeats_with_torchs_seed() -> None:
    torch.manual_seed(3)
    first = small("resnet18").state_dict()
    torch.manual_seed(3)
    again = small("resnet18").state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
