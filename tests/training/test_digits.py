"""Four narrow networks know the digits: their checkpoints are what their recipes make."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from edgecnn.contract import Preprocess
from edgecnn.datasets.digits import load_digits
from edgecnn.errors import UsageError, WeightsError
from edgecnn.runtime.preprocess import preprocess
from edgecnn.training.digits import (
    DIGITS_NETWORKS,
    digits_network,
    load_digits_checkpoint,
    load_or_train,
    save_digits,
    train_digits,
)
from edgecnn.training.fit import accuracy
from edgecnn.training.recipe import read_training

RECIPES = Path(__file__).parents[2] / "recipes" / "digits"

pytest.importorskip("sklearn", reason="scikit-learn is not installed, which ships the digits")


@pytest.mark.parametrize("name", DIGITS_NETWORKS)
def test_the_recipe_says_what_the_code_does(name: str) -> None:
    path = RECIPES / f"{name}.toml"
    assert read_training(path) == digits_network(name)
    assert path.read_text().splitlines()[0] == f"# edgecnn train recipes/digits/{name}.toml"


@pytest.mark.parametrize("name", DIGITS_NETWORKS)
def test_the_committed_checkpoint_knows_digits_it_has_not_seen(name: str) -> None:
    loaded = load_digits_checkpoint(name, RECIPES)
    assert loaded.labels == tuple("0123456789")
    assert loaded.preprocess == digits_network(name).preprocess
    assert accuracy(loaded.module, digits_network(name).examples("held_out")) >= 0.985


def test_the_checkpoints_are_small_enough_to_commit() -> None:
    sizes = [(RECIPES / f"{name}.safetensors").stat().st_size for name in DIGITS_NETWORKS]
    assert sum(sizes) < 3_000_000


@pytest.mark.parametrize("name", ["mobilenetv2", "resnet18"])
def test_no_channel_of_the_committed_networks_is_dead_or_wild(name: str) -> None:
    """INT8 has 256 levels: a channel far above or below the others would have none of them."""
    norms = [
        layer
        for layer in load_digits_checkpoint(name, RECIPES).module.modules()
        if isinstance(layer, nn.BatchNorm2d)
    ]
    assert norms
    for norm in norms:
        assert norm.running_var is not None
        gain = norm.weight.abs() / torch.sqrt(norm.running_var + norm.eps)
        assert gain.min() > 0.01
        assert gain.max() < 30


def test_examples_come_through_the_contracts_preprocessing() -> None:
    for name, channels in (("lenet5", 1), ("vgg11", 3)):
        network = digits_network(name)
        examples = network.examples("calibration")
        assert examples.images.shape == (180, channels, 32, 32)
        image = load_digits("calibration").images[7]
        expected = torch.from_numpy(preprocess(image, network.preprocess))
        torch.testing.assert_close(examples.images[7:8], expected)
        torch.testing.assert_close(examples.background, examples.images[0, :, 0, 0])


def test_training_learns_and_saving_keeps_it(tmp_path: Path) -> None:
    network = digits_network("lenet5")
    network = replace(network, fit=replace(network.fit, epochs=3))
    module, share = train_digits(network)
    assert share > 0.85
    save_digits(module, tmp_path / "lenet5.safetensors", network)
    loaded = load_digits_checkpoint("lenet5", tmp_path)
    assert accuracy(loaded.module, network.examples("held_out")) == share
    again, _ = train_digits(network)
    save_digits(again, tmp_path / "again.safetensors", network)
    files = [(tmp_path / f"{name}.safetensors").read_bytes() for name in ("lenet5", "again")]
    assert files[0] == files[1]


def test_a_seed_decides_the_fresh_weights() -> None:
    network = digits_network("resnet18")
    other = replace(network, fit=replace(network.fit, seed=1))
    first, same, changed = (made.build().state_dict() for made in (network, network, other))
    assert torch.equal(first["conv1.weight"], same["conv1.weight"])
    assert not torch.equal(first["conv1.weight"], changed["conv1.weight"])


def test_a_checkpoint_is_loaded_where_there_is_one(tmp_path: Path) -> None:
    loaded = load_or_train("vgg11", folder=RECIPES)
    assert loaded.source == "file vgg11.safetensors"
    assert not loaded.module.training


@pytest.mark.slow
def test_a_network_is_trained_where_there_is_no_checkpoint(tmp_path: Path) -> None:
    epochs: list[int] = []
    trained = load_or_train("lenet5", folder=tmp_path, progress=lambda done, _: epochs.append(done))
    assert trained.source == "trained on digits, seed 0"
    assert epochs[-1] == digits_network("lenet5").fit.epochs
    assert accuracy(trained.module, digits_network("lenet5").examples("held_out")) > 0.97


def test_a_damaged_or_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "lenet5.safetensors"
    target.write_bytes((RECIPES / "lenet5.safetensors").read_bytes()[:-100])
    with pytest.raises(WeightsError, match="lenet5"):
        load_or_train("lenet5", folder=tmp_path)
    target.write_bytes((RECIPES / "vgg11.safetensors").read_bytes())
    with pytest.raises(WeightsError, match="vgg11"):
        load_or_train("lenet5", folder=tmp_path)


def test_a_checkpoint_for_other_preprocessing_is_refused(tmp_path: Path) -> None:
    network = digits_network("lenet5")
    other = replace(
        network, preprocess=Preprocess(size=(32, 32), color="GRAY", mean=(0.5,), std=(1.0,))
    )
    save_digits(network.build(), tmp_path / "lenet5.safetensors", other)
    with pytest.raises(WeightsError, match="prepared in another way") as refusal:
        load_digits_checkpoint("lenet5", tmp_path)
    assert "edgecnn train" in refusal.value.hint


def test_a_network_without_a_digits_version_is_refused() -> None:
    assert digits_network("MobileNet-V2").name == "mobilenetv2"
    with pytest.raises(UsageError, match="no digits version of 'vgg16'"):
        digits_network("vgg16")
    with pytest.raises(UsageError, match="no model named 'lenet6'"):
        digits_network("lenet6")
