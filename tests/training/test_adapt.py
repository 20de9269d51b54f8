"""A network is given other classes and told which of its parts learn."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from edgecnn.contract import Preprocess
from edgecnn.errors import UsageError
from edgecnn.training.adapt import (
    Features,
    HeadAlone,
    Tune,
    adapt,
    check_size,
    check_task,
    freeze,
    fresh,
    parse_tune,
    set_training,
    stages,
)
from edgecnn.zoo.blocks import head
from edgecnn.zoo.catalog import find
from edgecnn.zoo.weights import load_weights

LABELS = ("cat", "dog", "owl")
NARROW = {"width": 0.25, "small_input": True}


def test_all_but_the_last_layer_is_kept(tmp_path: Path) -> None:
    spec = find("mobilenetv1_0.25")
    loaded = load_weights(spec, "random", seed=3, cache=tmp_path)
    adapted = adapt(spec, loaded, LABELS, seed=0)
    before, after = loaded.module.state_dict(), adapted.module.state_dict()
    assert after["classifier.weight"].shape[0] == 3
    for name, value in before.items():
        if not name.startswith("classifier."):
            assert torch.equal(value, after[name])
    assert adapted.arguments == {"num_classes": 3}


def test_heads_that_only_training_uses_are_left_out() -> None:
    network = fresh(find("googlenet"), LABELS, {}, seed=0)
    assert network.arguments == {"num_classes": 3, "auxiliary": False}
    assert not network.pretrained


def test_what_cannot_be_built_or_does_not_classify_is_refused() -> None:
    with pytest.raises(UsageError, match="lenet5 cannot be built so"):
        fresh(find("lenet5"), LABELS, NARROW, seed=0)
    for width in (0.0, -1.0, float("nan"), 1e9):
        with pytest.raises(UsageError, match="is not a factor"):
            fresh(find("vgg11"), LABELS, {"width": width}, seed=0)
    with pytest.raises(UsageError, match="unet does not classify"):
        check_task(find("unet"))


def test_images_that_end_inside_the_network_are_refused() -> None:
    spec = find("vgg11")
    network = fresh(spec, LABELS, {"width": 0.125}, seed=0)
    check_size(spec, network, Preprocess(size=(32, 32)))
    with pytest.raises(UsageError, match="vgg11 cannot see images of 16x16"):
        check_size(spec, network, Preprocess(size=(16, 16)))


@pytest.mark.parametrize("text", ["", "last", "last:0", "last:-1", "head:2", "tail", "last:x"])
def test_ways_that_are_not_known_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not known"):
        parse_tune(text)
    assert str(parse_tune("last:3")) == "last:3"


def test_the_last_stages_learn_and_the_rest_stays() -> None:
    network = fresh(find("mobilenetv2"), LABELS, NARROW, seed=0).module
    names = [name for name, _ in stages(network)]
    assert names[0] == "features.0"
    assert names[-1] == "classifier.1"
    chosen = freeze(network, Tune("last", 2))
    free = {name for name, value in network.named_parameters() if value.requires_grad}
    assert {name.split(".")[0] + "." + name.split(".")[1] for name in free} == {
        "features.18",
        "classifier.1",
    }
    set_training(network, chosen, norms=False)
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert not any(layer.training for layer in norms)
    set_training(network, chosen, norms=True)
    assert sum(layer.training for layer in norms) == 1
    with pytest.raises(UsageError, match="has 20 stages"):
        freeze(network, Tune("last", 99))


@pytest.mark.parametrize("name", ["mobilenetv1_0.25", "mobilenetv2", "lenet5"])
def test_features_and_the_last_layer_are_the_network(name: str) -> None:
    spec = find(name)
    arguments = NARROW if name == "mobilenetv2" else {}
    network = fresh(spec, LABELS, arguments, seed=0).module.eval()
    shape = (2, *spec.preprocess.tensor_shape()[1:2], 32, 32)
    images = torch.rand(shape)
    features = Features(name, network, (1, *shape[1:]))(images)
    with torch.inference_mode():
        logits = HeadAlone(head(network)[1])(features)
        torch.testing.assert_close(logits, network(images))


def test_a_last_layer_that_is_not_the_end_cannot_learn_alone() -> None:
    network = fresh(find("squeezenet1_1"), LABELS, {}, seed=0).module
    with pytest.raises(UsageError, match="its last layer is not its end"):
        Features("squeezenet1_1", network, (1, 3, 64, 64))
