"""A training recipe is read whole, or refused with the word that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.errors import FileError, RecipeError
from edgecnn.training.augment import Jitter
from edgecnn.training.recipe import read_training

NETWORK = """[network]
width = 0.25
small_input = true"""

TEXT = f"""
model = "ResNet-18"
data = "digits"
{NETWORK}
[preprocess]
size = [32, 32]
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]
[fit]
epochs = 2
learning_rate = 1
optimizer = "sgd"
[fit.jitter]
degrees = 5
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_it_says_is_what_is_trained(tmp_path: Path) -> None:
    network = read_training(written(tmp_path, TEXT))
    assert network.name == "resnet18"
    assert network.arguments == {"num_classes": 10, "width": 0.25, "small_input": True}
    assert network.preprocess.mean == (0.5, 0.5, 0.5)
    assert (network.fit.epochs, network.fit.optimizer, network.fit.batch) == (2, "sgd", 64)
    assert network.fit.jitter == Jitter(degrees=5)


@pytest.mark.parametrize(
    ("old", "new", "cause", "hint"),
    [
        ('model = "ResNet-18"', 'model = "resnet19"', "no model named 'resnet19'", "resnet18"),
        ('model = "ResNet-18"', "", "no model named", "edgecnn models"),
        ('data = "digits"', 'data = "cats"', "data 'cats' is not known", "digits"),
        ("[network]", "[netwrok]", "unknown key 'netwrok'", "did you mean 'network'"),
        ("epochs = 2", "", r"\[fit\]: 'epochs' is missing", "add: epochs"),
        ("epochs = 2", "epoch = 2", r"\[fit\]: unknown key 'epoch'", "did you mean 'epochs'"),
        ("epochs = 2", "epochs = 2.5", r"\[fit\] epochs: 2.5 cannot be", "examples"),
        ("epochs = 2", "epochs = true", r"\[fit\] epochs: True cannot be", "examples"),
        ("epochs = 2", "epochs = 0", "epochs 0, batch 64, seed 0 cannot be", "at least 1 epoch"),
        ('"sgd"', '"adam"', "optimizer: 'adam' cannot be", "examples"),
        ("degrees = 5", "degree = 5", "jitter: unknown key 'degree'", "'degrees'"),
        ("[fit.jitter]\ndegrees = 5", "jitter = 3", "jitter: 3 cannot be", "examples"),
        ("width = 0.25", 'width = "thin"', "mine.toml: ", "examples"),
        ("width = 0.25", "depth = 0.25", "mine.toml: .*depth", "examples"),
        ("width = 0.25", "num_classes = 3", "num_classes follows from the data", "leave it out"),
        ("width = 0.25", "in_channels = 1", "mine.toml: ", "examples"),
        ("std = [0.25, 0.25, 0.25]", "std = [0]", "need 3 numbers each", "mean and std"),
        ("size = [32, 32]", "", "mine.toml: ", "examples"),
        (NETWORK, "network = 3", "network is not a section", "write [network]"),
        ("data =", "data", "not TOML", "examples"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    tmp_path: Path, old: str, new: str, cause: str, hint: str
) -> None:
    assert old in TEXT
    with pytest.raises(RecipeError, match=cause) as refusal:
        read_training(written(tmp_path, TEXT.replace(old, new)))
    assert "mine.toml" in str(refusal.value)
    assert hint in refusal.value.hint
    assert "\n" not in str(refusal.value) + refusal.value.hint


def test_a_recipe_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no such file"):
        read_training(tmp_path / "mine.toml")
