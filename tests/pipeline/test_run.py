"""A recipe runs its steps in order, and the next run does only what has changed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from edgecnn.datasets.digits import write_digits
from edgecnn.errors import EdgecnnError, RecipeError
from edgecnn.onnxfile import read_contract
from edgecnn.pipeline.run import Step, run
from edgecnn.recipe import read_recipe

RECIPES = Path(__file__).parents[2] / "recipes"

TEXT = f"""
model = "lenet5"
threads = 1
output = "out"

[export]
weights = "{(RECIPES / "digits" / "lenet5.safetensors").as_posix()}"

[quantize]
calibration = "photos"
images = 32
effort = "fast"

[evaluate]
data = "labelled"

[profile]
precision = 0.5
time_limit_s = 2
"""


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    write_digits(folder / "photos", "calibration")
    write_digits(folder / "labelled", "held_out")
    return folder


@pytest.fixture
def recipe(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for name in ("photos", "labelled"):
        shutil.copytree(digits / name, name, copy_function=os.link)
    path = tmp_path / "digits.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the recipe leaves when its first step is done."""
    folder = tmp_path_factory.mktemp("exported")
    path = folder / "digits.toml"
    path.write_text(TEXT.partition("[quantize]")[0], encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        follow(path)
    return folder / "out"


@pytest.fixture
def short(recipe: Path, exported: Path) -> Path:
    """The recipe without measuring, its first step done."""
    shutil.copytree(exported, "out")
    recipe.write_text(TEXT.partition("[evaluate]")[0], encoding="utf-8")
    return recipe


def follow(recipe: Path, *overrides: str) -> dict[str, Step]:
    return {step.name: step for step in run(read_recipe(recipe, overrides=overrides))}


def skipped(steps: dict[str, Step]) -> list[str]:
    return [name for name, step in steps.items() if step.skipped]


def test_everything_is_made_once_and_then_only_what_changed(recipe: Path) -> None:
    first = follow(recipe)
    assert list(first) == ["export", "quantize", "compile", "evaluate", "profile"]
    assert skipped(first) == []
    evaluation = json.loads(Path("out/evaluation.json").read_text(encoding="utf-8"))
    assert [item["precision"] for item in evaluation["results"]] == ["fp32", "int8"]
    assert min(item["top1"]["value"] for item in evaluation["results"]) > 98
    assert evaluation["results"][1]["paired"]["agreement"] > 99
    assert Path("out/profile.html").exists()
    profile = json.loads(Path("out/profile.json").read_text(encoding="utf-8"))
    told = [item["accuracy"]["top1"] for item in profile["profiles"]]
    assert told == [item["top1"] for item in evaluation["results"]], "accuracy beside latency"
    page = Path("out/profile.html").read_text(encoding="utf-8")
    for item in told:
        assert f"{item['value']:.1f}" in page

    assert skipped(follow(recipe)) == list(first), "nothing has changed"

    changed = follow(recipe, "quantize.method=minmax")
    assert skipped(changed) == ["export"], "what comes after a changed step is made again"

    Path("out/lenet5.int8.onnx").write_bytes(b"broken")
    assert "quantize" not in skipped(follow(recipe, "quantize.method=minmax"))
    assert read_contract(Path("out/lenet5.int8.onnx")).provenance["precision"] == "int8"


def test_other_calibration_images_are_another_input(short: Path, tmp_path: Path) -> None:
    follow(short)
    for image in sorted((tmp_path / "photos").rglob("*.png"))[::3]:
        image.unlink()
    assert skipped(follow(short)) == ["export"]


def test_a_step_that_fails_leaves_the_steps_before_it_done(short: Path) -> None:
    with pytest.raises(EdgecnnError, match="nowhere"):
        follow(short, "evaluate.data=nowhere")
    assert skipped(follow(short)) == ["export", "quantize", "compile"]
    with pytest.raises(EdgecnnError, match="class 9 is not one of 0 to 8"):
        follow(short, "evaluate.data=labelled", "evaluate.class_offset=1")


def test_a_budget_is_kept_or_stops_the_run(short: Path, tmp_path: Path) -> None:
    steps = follow(short, "quantize.min_agreement=50")
    assert "quantize" in steps
    done = read_contract(Path("out/lenet5.int8.onnx")).provenance["steps"][-1]
    assert (done["budget"]["metric"], done["budget"]["limit"]) == ("agreement", 0.5)
    labelled = (f"evaluate.data={tmp_path / 'labelled'}", "quantize.max_drop=2.5")
    follow(short, *labelled)
    done = read_contract(Path("out/lenet5.int8.onnx")).provenance["steps"][-1]
    assert (done["budget"]["metric"], done["budget"]["limit"]) == ("drop", 0.025)
    assert done["budget"]["independent"] is True
    assert "quantize" in skipped(follow(short, *labelled))


def test_other_images_judge_a_budget_anew(short: Path, tmp_path: Path) -> None:
    labelled = (f"evaluate.data={tmp_path / 'labelled'}", "quantize.max_drop=50")
    follow(short, *labelled)
    next((tmp_path / "labelled").rglob("*.png")).unlink()
    assert "quantize" not in skipped(follow(short, *labelled))


def test_with_auto_the_engines_are_measured_once_and_the_profile_says_why(recipe: Path) -> None:
    first = follow(recipe, "engine=auto")
    assert [path.parent.parent.name for path in first["compile"].outputs] == ["engines"] * 2
    assert not first["compile"].skipped
    assert follow(recipe, "engine=auto")["compile"].skipped
    profiles = json.loads(Path("out/profile.json").read_text())["profiles"]
    for profile in profiles:
        assert profile["engine"] != "auto"
        assert profile["engine_facts"]["auto"].startswith(f"chose {profile['engine']}: ")
    assert "auto chose " in Path("out/profile.html").read_text()


def test_a_preprocessing_nobody_knows_is_refused(short: Path) -> None:
    with pytest.raises(RecipeError, match=r"\[preprocess\]: unknown key 'sise'"):
        follow(short, "preprocess.sise=32")


@pytest.mark.parametrize(
    ("override", "cause"),
    [
        ("export.batch=0", "batch 0 is not above zero"),
        ("export.opset=99", "opset 99 cannot be written"),
        ("engine=onnxrutime", "unknown engine 'onnxrutime'"),
        ("engine=onnxruntime:cudda", "unknown provider 'cudda'"),
        ("quantize.method=mean", "method 'mean'"),
        ("quantize.effort=heroic", "effort 'heroic'"),
        ("quantize.target=abacus", "target 'abacus'"),
        ("quantize.images=3", "images 3: too few"),
        ("quantize.min_agreement=0.97", "min_agreement 0.97 is no percentage"),
        ("quantize.min_agreement=101", "min_agreement 101 is no percentage"),
        ("quantize.max_drop=-1", "max_drop -1 is no number of points"),
        ("quantize.accept_loss=true", "accept_loss goes with"),
        ("profile.precision=0", "precision 0.0 is no share"),
        ("profile.time_limit_s=-1", "time_limit_s -1.0 is not above zero"),
        ("threads=0", "threads 0 is not above zero"),
        ("evaluate.class_offset=-1", "class_offset -1 is below zero"),
    ],
)
def test_a_value_that_a_late_step_would_refuse_is_refused_at_once(
    recipe: Path, override: str, cause: str
) -> None:
    with pytest.raises(RecipeError, match=cause) as refused:
        follow(recipe, *override.split())
    assert str(recipe) in str(refused.value)
    assert not Path("out").exists()


def test_two_budgets_or_one_without_labels_are_refused(recipe: Path) -> None:
    with pytest.raises(RecipeError, match="one budget at a time"):
        follow(recipe, "quantize.min_agreement=97", "quantize.max_drop=1")
    recipe.write_text(TEXT.partition("[evaluate]")[0], encoding="utf-8")
    with pytest.raises(RecipeError, match="max_drop needs labelled images"):
        follow(recipe, "quantize.max_drop=1")
    with pytest.raises(RecipeError, match="unknown key 'min_agreemnt'"):
        follow(recipe, "quantize.min_agreemnt=97")


def test_a_path_typed_by_hand_starts_where_the_command_runs(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "mine").mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    read = read_recipe(recipe, overrides=("evaluate.data=mine",))
    assert read.evaluate is not None
    assert read.evaluate.data is not None
    assert read.input_path(read.evaluate.data) == elsewhere / "mine"
