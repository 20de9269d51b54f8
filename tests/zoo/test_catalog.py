"""Networks are found by any name that people type; all that is known of them is in one table."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.errors import UsageError
from edgecnn.zoo import find, names
from edgecnn.zoo.labels import load_labels


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("mobilenetv2", "mobilenetv2"),
        ("mobilenet_v2", "mobilenetv2"),
        ("MobileNet-V2", "mobilenetv2"),
        ("MobileNetV2 1.0", "mobilenetv2"),
        ("resnet-50", "resnet50"),
        ("resnet - 50", "resnet50"),
        ("ResNet 18", "resnet18"),
        ("VGG-16", "vgg16"),
        ("LeNet", "lenet5"),
        ("LeNet-5", "lenet5"),
        ("efficientnet-lite0", "efficientnet_lite0"),
        ("efficientnet_lite0", "efficientnet_lite0"),
        ("VGG 16 bn", "vgg16_bn"),
        ("VGG-A-LRN", "vgg11_lrn"),
        ("NiN", "nin"),
        ("GoogLeNet", "googlenet"),
        ("Inception-v3", "inception_v3"),
        ("resnet-56", "resnet56"),
        ("plain-34", "plain34"),
        ("SqueezeNet 1.1", "squeezenet1_1"),
        ("mobilenet_v3_large", "mobilenetv3_large"),
        ("MobileNet V1", "mobilenetv1"),
        ("efficientnet-b4", "efficientnet_b4"),
        ("U-Net", "unet"),
        ("SSD300", "ssd300_vgg16"),
        ("ssdlite320_mobilenet_v3_large", "ssdlite320_mobilenetv3"),
        ("cifar_resnet20", "resnet20"),
        ("resnet32-cifar10", "resnet32"),
        ("ResNet-56 CIFAR", "resnet56"),
        ("ssd_vgg16", "ssd300_vgg16"),
        ("ssdlite_mobilenetv3", "ssdlite320_mobilenetv3"),
        ("resnet34_plain", "plain34"),
        ("vgg_a_bn", "vgg11_bn"),
        ("VGG-D-BN", "vgg16_bn"),
        ("vgg e", "vgg19"),
    ],
)
def test_names_as_people_type_them(typed: str, name: str) -> None:
    assert find(typed).name == name


@pytest.mark.parametrize(
    ("typed", "name", "width", "side"),
    [
        ("mobilenetv1_0.25", "mobilenetv1_0.25", 0.25, 224),
        ("MobileNet-V1 0.25", "mobilenetv1_0.25", 0.25, 224),
        ("mobilenetv1-0.5-160", "mobilenetv1_0.5_160", 0.5, 160),
        ("mobilenet_v1_0.75_192", "mobilenetv1_0.75_192", 0.75, 192),
        ("mobilenetv1_0.25_224", "mobilenetv1_0.25", 0.25, 224),
        ("mobilenetv1_1.0_128", "mobilenetv1_1.0_128", 1.0, 128),
        ("mobilenetv2_035", "mobilenetv2_0.35", 0.35, 224),
        ("MobileNetV2 1.4", "mobilenetv2_1.4", 1.4, 224),
        ("mobilenetv2_1.0_224", "mobilenetv2", 1.0, 224),
        ("mobilenetv1_1", "mobilenetv1", 1.0, 224),
        ("mobilenetv1_100", "mobilenetv1", 1.0, 224),
        ("mobilenetv1_75", "mobilenetv1_0.75", 0.75, 224),
        ("mobilenetv2-140", "mobilenetv2_1.4", 1.4, 224),
        ("mobilenetv1_.25", "mobilenetv1_0.25", 0.25, 224),
        ("mobilenetv1_160", "mobilenetv1_1.0_160", 1.0, 160),
        ("mobilenetv1_50_160", "mobilenetv1_0.5_160", 0.5, 160),
    ],
)
def test_mobilenets_come_in_any_width_for_any_images(
    typed: str, name: str, width: float, side: int
) -> None:
    spec = find(typed)
    assert (spec.name, spec.width, spec.preprocess.size) == (name, width, (side, side))
    assert find(spec.name) == spec
    assert find(spec.title) == spec


@given(width=st.integers(5, 400), side=st.integers(32, 1024))
def test_every_width_and_side_has_one_name(width: int, side: int) -> None:
    spec = find(f"mobilenetv1_{width / 100}_{side}")
    assert (spec.width, spec.preprocess.size) == (width / 100, (side, side))
    assert find(spec.name) == spec


@pytest.mark.parametrize("typed", ["mobilenetv1_9.5", "mobilenetv1_0.0", "mobilenetv2_0.5_7"])
def test_no_mobilenet_is_that_narrow_or_that_wide(typed: str) -> None:
    with pytest.raises(UsageError, match=r"there is no mobilenetv[12] of width") as caught:
        find(typed)
    assert caught.value.hint == "width is 0.05 to 4.0, the side 32 to 1024"


@pytest.mark.parametrize(
    "typed",
    [
        *("mobilenetv1_-1.0", "mobilenetv1_-0.5", "mobilenetv1--1.0", "mobilenetv1_0.5_-160"),
        *("mobilenetv1_3", "mobilenetv1_64", "mobilenetv1_161", "mobilenetv1.25", "mobilenetv125"),
    ],
)
def test_what_could_mean_anything_is_no_name(typed: str) -> None:
    with pytest.raises(UsageError, match="there is no model named"):
        find(typed)


def test_accuracies_of_networks_without_weights_here_have_their_source() -> None:
    for name, top1 in (
        ("mobilenetv1", 70.9),
        ("mobilenetv1_0.25", 49.8),
        ("mobilenetv1_0.5_160", 59.1),
        ("mobilenetv2_0.35", 60.3),
        ("xception", 79.0),
        ("efficientnet_lite3", 79.8),
        ("efficientnet_lite4", 81.5),
    ):
        published = find(name).published
        assert published is not None
        assert published.top1 == top1
        assert "ImageNet-1k validation" in published.source
    assert find("mobilenetv1_0.6").published is None
    for name in names():
        assert find(name).published is None or not find(name).weights


def test_a_width_reaches_the_network_and_no_foreign_weights() -> None:
    narrow = find("mobilenetv2_0.35")
    assert narrow.weights == ()
    shapes = {key: list(tensor.shape) for key, tensor in narrow.build().state_dict().items()}
    assert shapes["features.0.0.weight"] == [16, 3, 3, 3]
    assert shapes["features.1.conv.1.weight"] == [8, 16, 1, 1]
    assert shapes["classifier.1.weight"] == [1000, 1280]  # never narrower than the paper's
    # The share of the image stays: 256 of 224 pixels before, 183 of 160 now.
    assert find("mobilenetv2_0.35_160").preprocess.resize == round(160 * 232 / 224)


@given(
    name=st.sampled_from(names()),
    upper=st.lists(st.booleans(), min_size=32, max_size=32),
    separators=st.lists(st.sampled_from(["", "", "-", "_", ".", " "]), min_size=32, max_size=32),
)
def test_case_and_separators_do_not_matter(
    name: str, upper: list[bool], separators: list[str]
) -> None:
    plain = name.translate(dict.fromkeys(map(ord, "_.")))
    letters = (letter.upper() if up else letter for letter, up in zip(plain, upper, strict=False))
    typed = "".join(a + b for a, b in zip(separators, letters, strict=False))
    assert find(typed).name == name


@pytest.mark.parametrize("name", names())
def test_a_title_is_a_name_too(name: str) -> None:
    assert find(find(name).title).name == name


@given(st.text())
def test_any_other_name_is_a_usage_error(typed: str) -> None:
    with contextlib.suppress(UsageError):
        assert find(typed).name in names()


def test_an_unknown_name_gets_the_nearest_known_one() -> None:
    with pytest.raises(UsageError, match="there is no model named 'mobilnet-v2'") as caught:
        find("mobilnet-v2")
    assert caught.value.hint == "did you mean mobilenetv2? edgecnn models lists them all"
    with pytest.raises(UsageError) as caught:
        find("yolo")
    assert caught.value.hint == "edgecnn models lists them all"


def test_the_catalog_is_light() -> None:
    code = "import edgecnn.zoo, sys; assert not {'torch', 'numpy', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_each_set_of_weights_has_its_own_preprocessing_and_figures() -> None:
    v2, v1 = find("resnet50").weights
    assert v2.published is not None
    assert v1.published is not None
    assert (v2.tag, v2.preprocess.resize, v2.published.top1) == ("v2", 232, 80.858)
    assert (v1.tag, v1.preprocess.resize, v1.published.top1) == ("v1", 256, 76.13)
    assert v1.url == "https://download.pytorch.org/models/resnet50-0676ba61.pth"
    assert v1.sha256_prefix == "0676ba61"
    (lite,) = find("efficientnet_lite0").weights
    assert (lite.preprocess.crop_fraction, lite.preprocess.filter) == (0.875, "bicubic")


@pytest.mark.parametrize("name", names())
def test_the_default_preprocessing_is_that_of_the_default_weights(name: str) -> None:
    spec = find(name)
    if spec.default_weights:
        assert spec.preprocess == spec.default_weights.preprocess
    tags = [weights.tag for weights in spec.weights]
    assert len(tags) == len(set(tags))


def test_lenet_sees_ink_as_its_paper_does() -> None:
    recipe = find("lenet5").preprocess
    (mean,), (std,) = recipe.mean, recipe.std
    assert (0 * recipe.scale - mean) / std == pytest.approx(-0.1)
    assert (255 * recipe.scale - mean) / std == pytest.approx(1.175)


def test_labels_are_short_and_tell_the_classes_apart() -> None:
    labels = load_labels("imagenet1k")
    assert len({label.casefold() for label in labels}) == len(labels) == 1000
    assert labels[:2] == ("tench", "goldfish")
    assert (labels[134], labels[517]) == ("crane (bird)", "crane (machine)")
    assert (labels[638], labels[639]) == ("maillot", "maillot (tank suit)")
    assert labels[999] == "toilet tissue"
    assert max(map(len, labels)) < 40
    assert load_labels("digits") == tuple("0123456789")


def test_an_unknown_label_set() -> None:
    with pytest.raises(UsageError, match="no label set named 'coco'") as caught:
        load_labels("coco")
    assert "coco91" in caught.value.hint


def test_labels_of_every_network_fit_its_answers() -> None:
    assert load_labels("cells") == ("background", "cell")
    assert load_labels("cifar10")[:3] == ("airplane", "automobile", "bird")
    coco = load_labels("coco91")
    assert (len(coco), len(set(coco))) == (91, 91)
    assert (coco[0], coco[1], coco[90]) == ("background", "person", "toothbrush")
    assert sum(label.startswith("unused") for label in coco) == 10
    assert {find(name).labels for name in names()} == {
        *("digits", "imagenet1k", "cifar10", "cells", "coco91")
    }


def test_tasks() -> None:
    tasks = {name: find(name).task for name in names()}
    others = {name: task for name, task in tasks.items() if task != "classification"}
    assert others == {
        "unet": "segmentation",
        "ssd300_vgg16": "detection",
        "ssdlite320_mobilenetv3": "detection",
    }


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("inception_v3", {"size": (299, 299), "resize": 342, "mean": (0.5, 0.5, 0.5)}),
        ("efficientnet_b1", {"size": (240, 240), "resize": 255, "filter": "bilinear"}),
        ("efficientnet_b4", {"size": (380, 380), "resize": 384, "filter": "bicubic"}),
        ("efficientnet_lite4", {"size": (300, 300), "crop_fraction": 300 / 332}),
        ("mobilenetv1", {"size": (224, 224), "crop_fraction": 0.875, "mean": (127.5,) * 3}),
        ("ssd300_vgg16", {"size": (300, 300), "resize": None, "antialias": False}),
        ("resnet20", {"size": (32, 32), "resize": None, "mean": (0.485, 0.456, 0.406)}),
    ],
)
def test_each_network_has_its_own_images(name: str, recipe: dict[str, object]) -> None:
    found = find(name).preprocess
    assert {key: getattr(found, key) for key in recipe} == recipe


def test_weights_that_torchvision_converts_inside_are_fed_directly() -> None:
    # Its networks take ImageNet's normalization and turn it into (x - 0.5) / 0.5.
    pixel = 0.3
    for mean, std in zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True):
        normalized = (pixel - mean) / std
        inside = normalized * (std / 0.5) + (mean - 0.5) / 0.5
        assert inside == pytest.approx((pixel - 0.5) / 0.5)
    for name in ("googlenet", "inception_v3"):
        recipe = find(name).preprocess
        assert (recipe.mean, recipe.std) == ((0.5,) * 3, (0.5,) * 3)
