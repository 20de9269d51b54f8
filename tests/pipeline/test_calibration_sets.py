"""The sets and recipes that ship: each says where its images come from, and can be followed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import tomllib

from edgecnn.datasets.digits import write_digits
from edgecnn.errors import DataError
from edgecnn.pipeline.calibration import find_calibration
from edgecnn.recipe import read_recipe
from edgecnn.zoo import find, names

ROOT = Path(__file__).parents[2]
SETS = sorted((ROOT / "calibration").glob("*.toml"))
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_a_set_says_where_its_images_come_from(path: Path) -> None:
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    assert {"source", "origin", "split", "licence"} <= set(table)
    try:
        assert find_calibration(str(path)).count >= 16
    except DataError as error:  # nobody has all of them
        assert table["origin"] in error.hint or "scikit-learn" in str(error)


def test_the_digits_set_is_what_the_demo_writes(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    write_digits(tmp_path / "demo-output" / "digits" / "calibration", "calibration")
    (tmp_path / "calibration").mkdir()
    described = tmp_path / "calibration" / "digits.toml"
    described.write_text((ROOT / "calibration" / "digits.toml").read_text(encoding="utf-8"))
    assert find_calibration(str(described)).count == 180


def test_the_set_that_int8_is_tested_with_is_known_by_its_content(tmp_path: Path) -> None:
    default = ROOT.parent / "shared" / "data"
    images = Path(os.environ.get("EDGECNN_TEST_DATA", default)) / "imagenet" / "calibration"
    if not images.is_dir():
        pytest.skip(f"no test data in {images} (EDGECNN_TEST_DATA names the folder)")
    described = tmp_path / "imagenet-300.toml"
    described.write_text((ROOT / "calibration" / described.name).read_text(encoding="utf-8"))
    (tmp_path / "imagenet-300").symlink_to(images)
    assert find_calibration(str(described)).count == 300


def test_a_missing_folder_is_told_with_where_to_get_it(tmp_path: Path) -> None:
    described = tmp_path / "set.toml"
    described.write_text('source = "far"\norigin = "git clone somewhere"\n')
    with pytest.raises(DataError, match=r"its images are not in .*far") as refusal:
        find_calibration(str(described))
    assert refusal.value.hint == "where they come from: git clone somewhere"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_names_a_network_its_weights_and_a_set_that_ships(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.quantize is not None
    assert recipe.input_path(recipe.quantize.calibration).resolve() in SETS
    if recipe.model.endswith(".onnx"):
        assert recipe.preprocess
        return
    published, weights = find(recipe.model).weights, recipe.export.weights
    if weights is None:
        assert any(item.package for item in published)
    elif weights == "random":
        assert not published
    else:
        assert weights in {"official", *(f"official:{item.tag}" for item in published)}


def test_every_family_has_a_recipe() -> None:
    """LeNet's is `edgecnn demo`, MobileNetV1's takes the weights' own file."""
    models = {read_recipe(path).model for path in RECIPES}
    followed = {find(model).family for model in models if not model.endswith(".onnx")}
    elsewhere = {"LeNet", "MobileNetV1"}
    assert {find(name).family for name in names()} == followed | elsewhere
