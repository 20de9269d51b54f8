"""Looking around in the zoo: which networks there are, and one of them layer by layer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Edgecnn, Said

WIDEST = 100


def listed(said: Said) -> list[str]:
    assert said.code == 0, said.err
    return [row["name"] for row in said.document["models"]]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("Mobilenet-V1",), ["mobilenetv1", "mobilenetv1_0.25"]),
        (("squeeze*",), ["squeezenet1_0", "squeezenet1_1"]),
        (("squeezenet?_1",), ["squeezenet1_1"]),
        (("--family", "xception"), ["xception"]),
        (("--task", "segmentation"), ["unet"]),
        (("mobilenet", "--max-params", "1.7M"), ["mobilenetv1_0.25", "mobilenetv2_0.35"]),
        (("--family", "lenet", "--max-params", "62k"), ["lenet5"]),
        (("--family", "lenet", "--max-params", "61000"), []),
        (("vgg16*", "--sort", "name"), ["vgg16", "vgg16_bn", "vgg16_c"]),
        (("squeezenet", "--sort", "params"), ["squeezenet1_1", "squeezenet1_0"]),
        (("mobilenetv3_*", "--sort", "macs"), ["mobilenetv3_small", "mobilenetv3_large"]),
        (("resnet?4", "--sort", "top1"), ["resnet34", "resnet44"]),  # not of the same images
        (("resnet?[06]", "--sort", "top1"), ["resnet50", "resnet56", "resnet20"]),
        (("*n34", "--sort", "top1"), ["plain34"]),
        (("*34", "--sort", "top1"), ["resnet34", "plain34"]),
        (("VGG-D",), ["vgg16"]),
        (("ssd_vgg16",), ["ssd300_vgg16"]),
        (("vgg_a_lrn", "--family", "VGG"), ["vgg11_lrn"]),
        (("vgg_d", "--family", "ResNet"), []),
        (("MobileNetV1 0.5",), ["mobilenetv1_0.5"]),
        (("mobilenetv1_9.5",), []),
    ],
)
def test_filters_and_orders(edgecnn: Edgecnn, arguments: tuple[str, ...], names: list[str]) -> None:
    assert listed(edgecnn("models", *arguments, "--json")) == names


def test_a_list_for_people_fits_and_says_what_next(edgecnn: Edgecnn) -> None:
    said = edgecnn("models", "e")
    assert max(map(len, said.out.splitlines())) <= WIDEST
    assert "edgecnn export lenet5" in said.out
    assert "No network is like that" in edgecnn("models", "zzz").out


def test_accuracies_on_other_images_say_so(edgecnn: Edgecnn) -> None:
    small, large = edgecnn("models", "resnet56").out, edgecnn("models", "resnet50").out
    assert "93.4 (CIFAR-10)" in small
    assert "80.9  " in large
    (row,) = edgecnn("models", "resnet56", "--json").document["models"]
    assert row["labels"] == "cifar10"


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (("--family", "ResNeXt"), "no family 'ResNeXt'; there are LeNet, AlexNet"),
        (("--max-params", "5X"), "'5X' is not a number like 5M"),
        (("--max-params", "infM"), "'infM' is not a number"),
        (("--max-params", "-5"), "'-5' is not a number"),
        (("--sort", "age"), "'age'"),
    ],
)
def test_a_filter_that_means_nothing(
    edgecnn: Edgecnn, arguments: tuple[str, ...], cause: str
) -> None:
    said = edgecnn("models", *arguments)
    assert said.code == 2
    assert cause in said.err


def test_a_network_is_shown_layer_by_layer(edgecnn: Edgecnn) -> None:
    said = edgecnn("inspect", "alexnet")
    title, head, first, note, *_ = said.out.splitlines()
    assert title == (
        "AlexNet, 224x224: 61,100,840 parameters, 714,188,480 MACs, 2.33MB of activations"
    )
    assert " ".join(head.split()) == "layer kind output F S P G params MACs bytes sees share"
    assert " ".join(first.split()) == "features.0 conv 64x55x55 11 4 2 23.3K 70.3M 774K 11 9.8%"
    assert note.strip() == (
        "(W - F + 2P) / S is not whole: the last 1 row and 1 column of its padding unused"
    )
    assert "total 61.1M 714M 2.33M" in " ".join(said.out.split())


@pytest.mark.parametrize("name", ["inception_v3", "densenet201", "ssdlite320_mobilenetv3", "unet"])
def test_long_names_and_large_numbers_fit(edgecnn: Edgecnn, name: str) -> None:
    said = edgecnn("inspect", name, "--device", "jetson-orin-nano-super")
    assert said.code == 0, said.err
    assert max(map(len, said.out.splitlines())) <= WIDEST


def test_machines_are_told_exact_numbers(edgecnn: Edgecnn) -> None:
    document = edgecnn("inspect", "vgg16", "--json").document
    assert document["parameters"] == 138_357_544
    assert document["device"] is None
    rows = document["layers"]
    assert sum(row["parameters"] for row in rows) == document["parameters"]
    assert sum(row["macs"] for row in rows) == document["macs"] == 15_470_264_320
    assert rows[1]["kernel"] == [3, 3]
    assert rows[1]["receptive_field"] == [5, 5]
    assert {row["bound"] for row in rows} == {None}


def test_a_board_says_what_bounds_each_layer(edgecnn: Edgecnn) -> None:
    """A large convolution computes, a classifier reads its weights, a small layer is started."""
    board = ("--device", "jetson-orin-nano", "--precision", "int8", "--json")
    vgg16 = {
        row["name"]: row["bound"] for row in edgecnn("inspect", "vgg16", *board).document["layers"]
    }
    assert vgg16["features.2"] == "compute"
    assert vgg16["classifier.0"] == "memory"
    small = edgecnn("inspect", "mobilenetv1_0.25", *board).document
    bounds = [row["bound"] for row in small["layers"] if not row["folded"]]
    assert bounds.count("launch") > len(bounds) / 2
    assert small["device"]["least_ms"] >= 5e-3 * len(bounds)
    assert small["device"]["precision"] == "int8"


def test_only_norms_behind_a_convolution_are_folded(edgecnn: Edgecnn) -> None:
    """DenseNet's first norm of a layer stands before its convolution, and stays."""
    rows = edgecnn("inspect", "densenet121", "--json").document["layers"]
    folded = {row["name"]: row["folded"] for row in rows if row["kind"] == "batch norm"}
    assert folded["features.norm0"]
    assert not folded["features.denseblock1.denselayer1.norm1"]
    assert folded["features.denseblock1.denselayer1.norm2"]


def test_a_board_is_asked_about_models_only(edgecnn: Edgecnn, lenet: Path) -> None:
    said = edgecnn("inspect", lenet, "--device", "raspberry-pi-5")
    assert said.code == 2
    assert "--device goes with a network, not with an ONNX file" in said.err
    unknown = edgecnn("inspect", "lenet5", "--device", "raspberry-pi-6")
    assert unknown.code == 1
    assert "did you mean raspberry-pi-5?" in unknown.err


def test_layers_in_float16_on_boards_that_have_it(edgecnn: Edgecnn) -> None:
    half = ("lenet5", "--precision", "fp16", "--device")
    assert edgecnn("inspect", *half, "jetson", "--json").document["device"]["macs_per_s"] == 5e12
    without = edgecnn("inspect", *half, "raspberry-pi-5")
    assert without.code == 1
    assert "nothing is known about raspberry-pi-5 in fp16" in without.err
    assert "it has fp32, int8" in without.err


@pytest.mark.parametrize("asked", ["lenet5", "FILE"])
def test_a_precision_without_a_board_is_refused(edgecnn: Edgecnn, lenet: Path, asked: str) -> None:
    said = edgecnn("inspect", lenet if asked == "FILE" else asked, "--precision", "int8")
    assert said.code == 2
    assert "--precision" in said.err


def test_padding_before_a_layer_is_shown(edgecnn: Edgecnn) -> None:
    said = edgecnn("inspect", "mobilenetv1_0.25")
    assert "  its input is padded before: 1 at the bottom, 1 right" in said.out.splitlines()[3]
    document = edgecnn("inspect", "mobilenetv1_0.25", "--json").document
    assert document["layers"][0]["padded"] == [0, 1, 0, 1]


def test_the_list_needs_no_pytorch() -> None:
    code = (
        "import sys; from edgecnn.cli.app import run\n"
        "assert run(['models', '--json']) == 0\n"
        "assert not {'torch', 'numpy'} & set(sys.modules), 'heavy'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_neither_a_model_nor_a_file(edgecnn: Edgecnn) -> None:
    assert "did you mean resnet18?" in edgecnn("inspect", "resnet188").err
    assert "there is no such file" in edgecnn("inspect", "resnet18.onnx").err
