"""Official checkpoints fit: every name and every shape is torchvision's, family by family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from edgecnn.zoo import find, names
from edgecnn.zoo.count import parameters
from edgecnn.zoo.weights import LoadedWeights, load_weights
from tests.zoo.facts import (
    OUR_NAMES,
    described,
    size,
    state_dict,
    torchvision_networks,
    torchvision_weights,
)


def ours(name: str) -> str:
    return OUR_NAMES.get(name, name)


@pytest.mark.parametrize("name", torchvision_networks())
def test_parameters_are_named_and_shaped_as_torchvision_does(name: str) -> None:
    with torch.device("meta"):
        state = find(ours(name)).build().state_dict()
    expected = state_dict(name)
    assert {key: list(tensor.shape) for key, tensor in state.items()} == expected
    assert list(state) == list(expected)


@pytest.mark.parametrize("name", torchvision_networks())
def test_sizes_are_torchvisions(name: str) -> None:
    row = described(ours(name))
    values, gmac = size(name)
    if name == "inception_v3":  # stated in training form, with its auxiliary head
        with torch.device("meta"):
            network = find(name).build()
        assert sum(parameter.numel() for parameter in network.parameters()) == values
        assert parameters(network) == row.parameters == 23_834_568
    else:
        assert row.parameters == values
    assert round(row.macs / 1e9, 3) == gmac


SETS = torchvision_weights()


@pytest.mark.parametrize(
    ("name", "entry", "facts"), SETS, ids=[f"{name}.{entry}" for name, entry, _ in SETS]
)
def test_weights_are_what_torchvision_states(name: str, entry: str, facts: dict[str, Any]) -> None:
    spec, tag = find(name), entry.rpartition("_")[2].lower()
    (found,) = (item for item in spec.weights if item.tag == tag)
    recipe, stem = found.preprocess, facts["url"].removesuffix(".pth")
    assert (found.url, found.sha256_prefix) == (facts["url"], stem.rpartition("-")[2])
    assert found.file == facts["url"].rpartition("/")[2]
    assert ((recipe.size[0],), (recipe.resize,)) == (tuple(facts["crop"]), tuple(facts["resize"]))
    assert recipe.size[0] == recipe.size[1]
    assert (recipe.filter, recipe.antialias) == (facts["interpolation"], facts["antialias"])
    assert (recipe.color, recipe.scale, recipe.crop_fraction) == ("RGB", 1 / 255, None)
    # Those that torchvision converts inside the network are fed directly (see the catalog's tests).
    inside = name in ("googlenet", "inception_v3")
    mean_std = ([0.5] * 3, [0.5] * 3) if inside else (facts["mean"], facts["std"])
    assert (list(recipe.mean), list(recipe.std)) == mean_std
    assert found.published is not None
    assert (found.published.top1, found.published.top5) == (facts["top1"], facts["top5"])
    assert found.published.source.endswith(entry)
    assert (found is spec.default_weights) == facts["default"]


def test_no_set_of_torchvisions_is_left_out_or_made_up() -> None:
    ours = {
        (name, f"IMAGENET1K_{item.tag.upper()}")
        for name in names()
        if find(name).task == "classification"
        for item in find(name).weights
        if item.url and "pytorch.org" in item.url
    }
    assert ours == {(name, entry) for name, entry, _ in SETS}


def saved(name: str, path: Path, *, without: str = "", dotted: str = "") -> Path:
    """A file with the names and shapes of torchvision's; `dotted` puts a dot before digits."""
    tensors = {
        key: torch.full(shape, 0.5, dtype=torch.float16) if shape else torch.tensor(0)
        for key, shape in state_dict(name).items()
        if not without or not key.startswith(without)
    }
    if dotted:
        tensors = {
            key.replace("norm1", "norm.1").replace("norm2", "norm.2")
            .replace("conv1", "conv.1").replace("conv2", "conv.2"): tensor
            for key, tensor in tensors.items()
        }  # fmt: skip
    torch.save(tensors, path)
    return path


def of_file(name: str, path: Path) -> LoadedWeights:
    return load_weights(find(ours(name)), str(path), cache=path.parent)


@pytest.mark.parametrize(
    "name",
    [
        *("squeezenet1_1", "mobilenet_v3_small", "efficientnet_b0", "googlenet"),
        "ssdlite320_mobilenet_v3_large",
        # The largest are slow; all others of their families differ in numbers alone.
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("alexnet", "vgg16_bn", "resnet50", "inception_v3", "ssd300_vgg16")
        ),
    ],
)
def test_a_file_with_these_names_loads_strictly(name: str, tmp_path: Path) -> None:
    loaded = of_file(name, saved(name, tmp_path / "net.pth"))
    assert len(loaded.labels) == (91 if name.startswith("ssd") else 1000)
    last = list(loaded.module.state_dict().values())[-1]
    assert bool((last == 0.5).all())


def test_densenet_files_are_older_than_the_names_of_its_modules(tmp_path: Path) -> None:
    path = saved("densenet121", tmp_path / "densenet121.pth", dotted="denselayer")
    assert any(".norm.1." in key for key in torch.load(path, weights_only=True))
    loaded = of_file("densenet121", path)
    assert "features.denseblock1.denselayer1.norm1.weight" in loaded.module.state_dict()


@pytest.mark.parametrize(("name", "heads"), [("googlenet", "aux"), ("inception_v3", "AuxLogits")])
def test_auxiliary_heads_may_be_missing(name: str, heads: str, tmp_path: Path) -> None:
    loaded = of_file(name, saved(name, tmp_path / "net.pth", without=heads))
    assert not [key for key in loaded.module.state_dict() if key.startswith(heads)]
    network = find(name).build(auxiliary=False)
    assert parameters(network) == sum(values.numel() for values in network.parameters())
