"""Training recipes on photos say all but where these lie, or are refused with the wrong word."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edgecnn.datasets.tones import write_tones
from edgecnn.errors import FileError, RecipeError
from edgecnn.pipeline.listening import prepared
from edgecnn.pipeline.train_recipe import is_for_photos, read_photo_training
from edgecnn.training.adapt import fresh
from edgecnn.zoo.catalog import find
from edgecnn.zoo.count import macs
from tests.photos import write_photos

ROOT = Path(__file__).parents[2]
RECIPES = [
    path for name in ("cifar10", "tones") for path in sorted((ROOT / "recipes" / name).glob("*"))
]
GOOD = """model = "mobilenetv2"
data = "photos"
weights = "random"
tune = "all"
size = 32
[network]
width = 0.25
small_input = true
[pace]
epochs = 3
learning_rate = 1
optimizer = "sgd"
balance = false
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_it_says_is_what_is_trained(tmp_path: Path) -> None:
    model, options = read_photo_training(written(tmp_path, GOOD), tmp_path)
    assert model == "mobilenetv2"
    assert (options.tune, options.weights, options.size) == ("all", "random", (32, 32))
    assert options.build == {"width": 0.25, "small_input": True}
    assert options.pace.given == {
        "epochs": 3,
        "learning_rate": 1.0,
        "optimizer": "sgd",
        "balance": False,
    }


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_recipes_that_ship_can_be_trained(path: Path, tmp_path: Path) -> None:
    told = path.relative_to(ROOT).as_posix()
    assert path.read_text().startswith(f"# edgecnn train {told} --data ")
    assert is_for_photos(path)
    write_tones(tmp_path, each=1) if path.parent.name == "tones" else write_photos(tmp_path, 1)
    model, options = read_photo_training(path, tmp_path)
    spec = find(model)
    labels = tuple("abcdefghij")
    with torch.device("meta"):
        network = fresh(spec, labels, options.build, seed=0)
        assert macs(network.module, prepared(spec.preprocess, options).tensor_shape()) > 0


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("tune =", "tunes =", "did you mean 'tune'"),
        ("epochs = 3", "epoch = 3", "did you mean 'epochs'"),
        ("epochs = 3", 'epochs = "3"', "epochs: '3' cannot be"),
        ("size = 32", 'size = "32"', "size '32' cannot be"),
        ("size = 32", 'held_out = "0.1"', "held_out '0.1' cannot be"),
        ("size = 32", "seconds = true", "seconds True cannot be"),
        ("size = 32", "size = 0", "size 0 cannot be"),
        ("size = 32", "seed = -1", "seed -1 cannot be"),
        ("balance = false", "balance = 0", "balance: 0 cannot be"),
        ("epochs = 3", "epochs = true", "epochs: True cannot be"),
        ('"sgd"', '"lion"', "optimizer: 'lion' cannot be"),
        ('model = "mobilenetv2"', "", "'model' is missing"),
        ('tune = "all"', 'augment = "wild"', "augment 'wild' cannot be"),
        ("[network]", "[[network]]", "network is not a section"),
        ("[pace]", "[pace", "not TOML"),
    ],
)
def test_what_it_may_not_say_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(RecipeError) as error:
        read_photo_training(written(tmp_path, GOOD.replace(old, new)), tmp_path)
    assert told in f"{error.value} {error.value.hint}"


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no such file"):
        is_for_photos(tmp_path / "none.toml")
