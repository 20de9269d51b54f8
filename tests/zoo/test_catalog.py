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
        ("ResNet 18", "resnet18"),
        ("VGG-16", "vgg16"),
        ("LeNet", "lenet5"),
        ("LeNet-5", "lenet5"),
        ("efficientnet-lite0", "efficientnet_lite0"),
        ("efficientnet_lite0", "efficientnet_lite0"),
    ],
)
def test_names_as_people_type_them(typed: str, name: str) -> None:
    assert find(typed).name == name


@given(
    name=st.sampled_from(names()),
    upper=st.lists(st.booleans(), min_size=32, max_size=32),
    separators=st.lists(st.sampled_from(["", "", "-", "_", ".", " "]), min_size=32, max_size=32),
)
def test_case_and_separators_do_not_matter(
    name: str, upper: list[bool], separators: list[str]
) -> None:
    letters = (letter.upper() if up else letter for letter, up in zip(name, upper, strict=False))
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
    with pytest.raises(UsageError, match="no label set named 'coco'"):
        load_labels("coco")
