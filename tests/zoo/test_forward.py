"""Every network answers in inference, and in training every parameter learns."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecnn.errors import UsageError
from edgecnn.zoo import find, names
from edgecnn.zoo.blocks import AuxiliaryHead, SqueezeExcitation, StochasticDepth, initialize
from edgecnn.zoo.fractalnet import FractalBlock, FractalNet, fractalnet
from edgecnn.zoo.googlenet import googlenet
from edgecnn.zoo.inception_v3 import inception_v3
from edgecnn.zoo.resnet import BasicBlock, PlainBlock
from edgecnn.zoo.resnet_cifar import BasicBlock as CifarBlock
from edgecnn.zoo.resnet_cifar import resnet20
from edgecnn.zoo.unet import unet

# The smallest images that a network takes, where 64 pixels are not right.
SIDES = {
    **dict.fromkeys(("lenet5", "resnet20", "resnet32", "resnet44", "resnet56", "fractalnet"), 32),
    "inception_v3": 75,
    "unet": 188,
    "ssd300_vgg16": 300,
    "ssdlite320_mobilenetv3": 96,
}
# One of each family; the others are slow only because they are many.
ONE_OF_EACH = (
    *("lenet5", "alexnet", "nin", "vgg11_bn", "googlenet", "inception_v3", "resnet18"),
    *("resnet20", "densenet121", "fractalnet", "xception", "squeezenet1_1", "mobilenetv1_0.25"),
    *("mobilenetv2_0.35", "mobilenetv3_small", "efficientnet_b0", "efficientnet_lite0", "unet"),
    "ssdlite320_mobilenetv3",
)
EVERY_ONE = [
    pytest.param(name, marks=[] if name in ONE_OF_EACH else pytest.mark.slow) for name in names()
]


# Where the full width would only cost time.
OPTIONS: dict[str, dict[str, object]] = {
    name: {"width": 0.125} for name in names() if name.startswith("vgg")
}
# Images in training: enough for batch norms of maps of one pixel, and for drop-path.
BATCHES = {"inception_v3": 2, "unet": 1}


def side(name: str) -> int:
    return SIDES.get(name, 64)


def built(name: str) -> nn.Module:
    torch.manual_seed(0)
    return find(name).build(**OPTIONS.get(name, {}))


def photos(name: str, count: int, pixels: int) -> Tensor:
    """Smooth noise: what a network sees of a blurred photo."""
    coarse = torch.randn(count, find(name).preprocess.channels, 8, 8)
    return functional.interpolate(coarse, size=(pixels, pixels), mode="bilinear")


@pytest.mark.parametrize("name", EVERY_ONE)
def test_inference_gives_finite_answers_of_the_right_shape(name: str) -> None:
    spec = find(name)
    network = built(name).eval()
    with torch.no_grad():
        images = photos(name, 2, side(name))
        answers = network(images)
        again = network(images)
    if spec.task == "detection":
        logits, offsets = answers
        assert logits.shape == (2, offsets.shape[1], 91)
        assert offsets.shape[2] == 4
        answers, again = logits, again[0]
    elif spec.task == "segmentation":
        assert answers.shape == (2, 2, side(name) - 184, side(name) - 184)
    else:
        assert answers.shape == (2, 1000 if spec.labels == "imagenet1k" else 10)
    assert bool(torch.isfinite(answers).all())
    assert torch.equal(answers, again)  # nothing is left to chance
    assert not torch.equal(answers[0], answers[1])  # and the image matters


@pytest.mark.parametrize("name", EVERY_ONE)
def test_training_reaches_every_parameter(name: str) -> None:
    network = built(name).train()
    values = dict(network.named_parameters())
    silent = set(values)
    # 299 pixels are the least at which Inception's auxiliary head sees anything.
    pixels = 299 if name == "inception_v3" else side(name)
    # Drop-path leaves most of a fractal network out of any one batch.
    for _ in range(5 if name == "fractalnet" else 1):
        answers = network(photos(name, BATCHES.get(name, 4), pixels))
        outputs = answers if isinstance(answers, tuple) else (answers,)
        loss = torch.stack([output.square().mean() for output in outputs]).sum()
        gradients = torch.autograd.grad(loss, list(values.values()), allow_unused=True)
        for key, gradient in zip(values, gradients, strict=True):
            if gradient is not None:
                assert bool(torch.isfinite(gradient.sum())), key
                silent -= {key} if bool(gradient.any()) else set()
    assert silent == set()


def test_auxiliary_heads_answer_in_training_only() -> None:
    images = photos("googlenet", 2, 64)
    network = googlenet(num_classes=7)
    assert [answer.shape for answer in network.train()(images)] == [(2, 7)] * 3
    assert network.eval()(images).shape == (2, 7)
    assert googlenet(num_classes=7, auxiliary=False).train()(images).shape == (2, 7)
    with torch.device("meta"):
        inception = inception_v3(num_classes=7)
    assert sum(isinstance(layer, AuxiliaryHead) for layer in inception.modules()) == 1


def test_auxiliary_heads_begin_without_an_opinion_too() -> None:
    torch.manual_seed(0)
    network = googlenet(num_classes=10)
    for head in (network.aux1, network.aux2):
        assert head is not None
        assert float(head.fc2.weight.detach().std()) == pytest.approx(0.01, rel=0.05)
    assert float(network.fc.weight.detach().std()) == pytest.approx(0.01, rel=0.05)


def test_gates_begin_half_open() -> None:
    torch.manual_seed(0)
    gate = SqueezeExcitation(64, 16, activation=nn.ReLU, gate=nn.Sigmoid)
    initialize(nn.Sequential(gate, nn.Conv2d(64, 2, 1)))
    maps = 1 + torch.rand(2, 64, 4, 4)
    shares = (gate(maps) / maps).detach()
    assert float(shares.min()) > 0.4
    assert float(shares.max()) < 0.6


def test_a_plain_network_is_a_residual_one_without_its_shortcuts() -> None:
    torch.manual_seed(0)
    plain, residual = PlainBlock(8, 8, 1).eval(), BasicBlock(8, 8, 1).eval()
    residual.load_state_dict(plain.state_dict())
    maps = torch.randn(1, 8, 6, 6)
    assert torch.equal(plain(maps), functional.relu(plain.residual(maps)))
    assert torch.equal(residual(maps), functional.relu(plain.residual(maps) + maps))


def test_a_shortcut_without_parameters_takes_every_second_pixel_and_adds_zeros() -> None:
    block = resnet20().layer2[0].eval()
    assert isinstance(block, CifarBlock)
    maps = torch.randn(1, 16, 8, 8)
    shortcut = block._shortcut(maps)
    assert shortcut.shape == (1, 32, 4, 4)
    assert torch.equal(shortcut[:, 8:24], maps[:, :, ::2, ::2])
    assert not shortcut[:, :8].any()
    assert not shortcut[:, 24:].any()


def test_stochastic_depth_keeps_the_mean_and_rests_in_inference() -> None:
    torch.manual_seed(0)
    layer = StochasticDepth(0.2)
    maps = torch.ones(4000, 1, 2, 2)
    thinned = layer.train()(maps)
    assert sorted(thinned.unique().tolist()) == pytest.approx([0.0, 1.25])
    assert thinned.mean() == pytest.approx(1.0, abs=0.03)
    assert layer.eval()(maps) is maps


# Drop-path: joins average what they keep, and never keep nothing.


def convolutions(block: FractalBlock, column: int) -> list[nn.Module]:
    return list(block.columns[column].children())


def columns_used(block: FractalBlock, only: int | None) -> set[int]:
    """The columns that ran for one batch."""
    used: set[int] = set()
    hooks = [
        conv.register_forward_hook(lambda *_, column=column: used.add(column))
        for column in range(3)
        for conv in convolutions(block, column)
    ]
    block(torch.randn(2, 4, 4, 4), only)
    for hook in hooks:
        hook.remove()
    return used


def test_a_fractal_block_is_as_deep_as_its_deepest_column() -> None:
    block = FractalBlock(4, 4, 0.0).eval()
    assert [len(convolutions(block, column)) for column in range(3)] == [1, 2, 4]
    assert columns_used(block, None) == {0, 1, 2}


@pytest.mark.parametrize("column", [0, 1, 2])
def test_a_global_path_is_one_column(column: int) -> None:
    assert columns_used(FractalBlock(4, 4, 0.0).eval(), column) == {column}


def test_in_inference_a_join_is_the_mean_of_all_its_paths() -> None:
    torch.manual_seed(0)
    block = FractalBlock(4, 4, 0.0).eval()
    maps = torch.randn(1, 4, 4, 4)
    one, two, four = (convolutions(block, column) for column in range(3))
    first = (two[0](maps) + four[1](four[0](maps))) / 2
    expected = (one[0](maps) + two[1](first) + four[3](four[2](first))) / 3
    torch.testing.assert_close(block(maps, None), expected)


def test_in_training_some_paths_are_left_out_but_never_all() -> None:
    torch.manual_seed(0)
    block = FractalBlock(4, 4, 0.0).train()
    kept = [len(block._kept([0, 1, 2])) for _ in range(2000)]
    assert min(kept) == 1
    assert sum(kept) / len(kept) / 3 == pytest.approx(0.85, abs=0.02)
    network: FractalNet = fractalnet().train()
    chosen = [network._column() for _ in range(2000)]
    assert chosen.count(None) / len(chosen) == pytest.approx(0.5, abs=0.04)
    assert {column for column in chosen if column is not None} == {0, 1, 2}


def test_u_net_answers_for_the_middle_or_for_every_pixel() -> None:
    with torch.device("meta"):
        network, padded = unet(), unet(padded=True, in_channels=3, num_classes=5)
    assert network(torch.empty(0, 1, 572, 572, device="meta")).shape == (0, 2, 388, 388)
    assert padded(torch.empty(0, 3, 96, 64, device="meta")).shape == (0, 5, 96, 64)


@pytest.mark.parametrize(
    ("padded", "size", "rule"),
    [
        (False, (100, 100), "16 k + 124"),
        (False, (172, 188), "k at least 4"),
        (False, (188, 200), "188, 204 ... 572"),
        (True, (96, 100), "a multiple of 16"),
    ],
)
def test_u_net_states_which_images_fit(padded: bool, size: tuple[int, int], rule: str) -> None:
    with torch.device("meta"):
        network = unet(padded=padded)
    height, width = size
    with pytest.raises(UsageError, match=f"images of {height}x{width}") as caught:
        network(torch.empty(0, 1, *size, device="meta"))
    assert rule in caught.value.hint


def test_transposed_convolutions_begin_with_signals_of_the_same_size() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.ConvTranspose2d(256, 128, 2, stride=2), nn.Conv2d(128, 4, 1))
    initialize(layers)
    spread = float(layers[0](torch.randn(1, 256, 16, 16)).detach().std())
    assert spread == pytest.approx(2**0.5, rel=0.1)  # for the ReLU that follows
