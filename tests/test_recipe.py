"""A recipe is the run: what it says is done, and what nobody understands is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.errors import FileError, RecipeError
from edgecnn.recipe import read_recipe

RECIPES = Path(__file__).parent.parent / "recipes"

TEXT = """
model = "mobilenetv2"
threads = 1

[export]
weights = "random"
batch = "dynamic"

[quantize]
calibration = "photos:64"
keep_float = ["/features/0/Conv"]

[profile]
precision = 1
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "toy.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_it_says_is_what_comes(tmp_path: Path) -> None:
    recipe = read_recipe(write(tmp_path, TEXT))
    assert (recipe.model, recipe.threads, recipe.export.batch) == ("mobilenetv2", 1, "dynamic")
    assert recipe.quantize is not None
    assert recipe.quantize.keep_float == ("/features/0/Conv",)
    assert recipe.profile is not None
    assert recipe.profile.precision == 1.0
    assert recipe.evaluate is None
    assert recipe.output == Path("build/toy")
    assert recipe.input_path("x.onnx") == tmp_path / "x.onnx"


def test_an_override_wins_over_the_file(tmp_path: Path) -> None:
    changes = ("threads=2", "quantize.method=minmax", "evaluate.data=/some/where")
    recipe = read_recipe(write(tmp_path, TEXT), overrides=changes)
    assert recipe.threads == 2
    assert recipe.quantize is not None
    assert recipe.quantize.method == "minmax"
    assert recipe.evaluate is not None
    assert recipe.evaluate.data == "/some/where"


@pytest.mark.parametrize(
    ("text", "cause", "hint"),
    [
        ('modle = "x"', "unknown key 'modle'", "did you mean 'model'"),
        ('model = "x"\n[quantise]\n', "unknown key 'quantise'", "did you mean 'quantize'"),
        (
            'model = "x"\n[quantize]\ncalibraton = "p"',
            r"\[quantize\]: unknown key",
            "'calibration'",
        ),
        ('model = "x"\n[quantize]\n', "'calibration' is missing", "add: calibration"),
        ("seed = 3", "names no model", "model = "),
        ('model = "x"\nthreads = "two"', "threads: 'two' is not of the right", "a whole number"),
        ('model = "x"\nseed = -1', "seed -1 is below zero", "seed = 0"),
        ('model = "x"\nthreads = true', "threads: True is not of the right", "a whole number"),
        ('model = "x"\n[export]\nopset = 17.5', "opset: 17.5", "a whole number"),
        ('model = "x"\nexport = 3', "not a section", "brackets"),
        ("model = ", "not TOML", "recipes/"),
    ],
)
def test_what_no_step_understands_is_refused(
    tmp_path: Path, text: str, cause: str, hint: str
) -> None:
    with pytest.raises(RecipeError, match=cause) as caught:
        read_recipe(write(tmp_path, text))
    assert hint in caught.value.hint


@pytest.mark.parametrize("override", ["threads", "a.b.c=1", "=3"])
def test_an_override_that_is_none_is_refused(tmp_path: Path, override: str) -> None:
    with pytest.raises(RecipeError, match=r"is not section\.key=value"):
        read_recipe(write(tmp_path, TEXT), overrides=(override,))


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no such file"):
        read_recipe(tmp_path / "missing.toml")


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.name)
def test_the_recipes_that_ship_can_be_read_and_say_how_to_run_them(path: Path) -> None:
    assert read_recipe(path).model
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == f"# edgecnn run recipes/{path.name}"
