"""`edgecnn train` from photos to a checkpoint that export takes, as a user meets it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import PIL.Image
import pytest

from tests.cli.conftest import Edgecnn
from tests.photos import write_photos

SMALL = ("--model", "lenet5", "--weights", "random", "--tune", "all", "--augment", "none")
QUICK = (*SMALL, "--epochs", "6", "--batch", "16", "--lr", "0.01", "--threads", "1")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("drawn"), 30)


@pytest.fixture
def photos(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "photos"))


def test_photos_become_a_checkpoint_that_export_takes(edgecnn: Edgecnn, photos: Path) -> None:
    said = edgecnn("train", *QUICK, "--data", photos, "-o", "shapes.safetensors", "--json")
    assert said.code == 0, said.err
    found = said.document
    assert found["classes"] == ["ball", "bar", "stripes"]
    assert found["held_out_top1"]["value"] > 80
    assert sum(found["photos"][part] for part in ("train", "watched", "held_out")) == 90
    page = Path("shapes.html").read_text()
    assert "<polyline" in page
    assert "stripes" in page
    assert "What is taken for what" in page
    exported = edgecnn("export", "shapes.safetensors", "--json")
    assert exported.code == 0, exported.err
    assert exported.document["weights"]["training"]["held_out"]["n"] == found["photos"]["held_out"]
    photo = photos / "stripes" / "0.png"
    assert "stripes" in edgecnn("classify", "shapes.onnx", photo).out
    evaluated = edgecnn("evaluate", "shapes.onnx", "--data", "shapes.held-out.tsv", "--json")
    (row,) = evaluated.document["results"]
    assert row["n"] == found["photos"]["held_out"]
    listed = Path("shapes.trained.txt").read_text().splitlines()
    assert len(listed) == 90 - row["n"]
    assert all(Path(path).is_file() for path in listed)
    assert row["top1"]["value"] == pytest.approx(found["held_out_top1"]["value"])


def test_a_narrow_network_for_small_images_begins_anew(edgecnn: Edgecnn, photos: Path) -> None:
    new = ("--weights", "random", "--tune", "all", "--width", "0.125", "--size", "32")
    said = edgecnn(
        *("train", "--model", "vgg11", *new, "--small-input", "--epochs", "1"),
        *("--data", photos, "--threads", "1", "-o", "small.safetensors"),
    )
    assert said.code == 0, said.err
    assert "VGG-11 0.125, random weights" in said.out
    exported = edgecnn("export", "small.safetensors")
    assert "VGG-11 0.125, 32x32" in exported.out
    wide = edgecnn("train", "--model", "lenet5", *new, "--data", photos)
    assert "lenet5 cannot be built so" in wide.err


def test_a_recipe_says_all_but_where_the_photos_lie(edgecnn: Edgecnn, photos: Path) -> None:
    Path("small.toml").write_text(
        'model = "lenet5"\ndata = "photos"\nweights = "random"\ntune = "all"\n'
        "[pace]\nepochs = 1\nlearning_rate = 0.01\n"
    )
    photos = photos.rename(photos.with_name("my.photos"))
    said = edgecnn("train", "small.toml", "--data", photos, "--threads", "1")
    assert said.code == 0, said.err
    assert Path("lenet5-my.photos.safetensors").is_file()
    assert "say where they lie" in edgecnn("train", "small.toml").err
    digits = Path(__file__).parents[2] / "recipes" / "digits" / "lenet5.toml"
    assert "leave --data out" in edgecnn("train", digits, "--data", photos).err
    assert "leave --threads out" in edgecnn("train", digits, "--threads", "2").err


def test_the_last_layer_learns_on_features_that_are_kept(edgecnn: Edgecnn, photos: Path) -> None:
    assert edgecnn("train", *QUICK, "--data", photos, "-o", "first.safetensors").code == 0
    head = ("train", "--model", "first.safetensors", "--data", photos, "--classes", "bar,ball")
    said = edgecnn(*head, "-o", "two.safetensors", "--epochs", "20", "--augment", "text")
    assert said.code == 0, said.err
    assert "--tune head" in said.out
    assert "mirrored or mixed at most" in said.err
    assert "those that are held out now must be others" in said.err
    assert "next         edgecnn export two.safetensors" in said.out
    assert list(Path("cache/features").glob("*.npz"))
    again = edgecnn(*head, "-o", "again.safetensors", "--epochs", "20")
    assert again.code == 0
    assert Path("two.safetensors").read_bytes() == Path("again.safetensors").read_bytes()
    assert "features" in edgecnn("cache", "list").out
    same = edgecnn("train", *head[1:5], "-o", "same.safetensors", "--epochs", "1")
    assert (same.code, same.err) == (0, "")


@pytest.mark.slow  # three processes that import PyTorch
def test_the_same_seed_gives_the_same_file_after_a_kill_too(tmp_path: Path, photos: Path) -> None:
    def start(output: str, cache: str) -> subprocess.Popen[bytes]:
        arguments = ("train", *QUICK, "--data", str(photos), "-o", str(tmp_path / output))
        environment = {**os.environ, "EDGECNN_CACHE": str(tmp_path / cache)}
        command = [sys.executable, "-m", "edgecnn", *arguments]
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)

    assert start("whole.safetensors", "one").wait() == 0
    killed = start("killed.safetensors", "two")
    state = tmp_path / "two" / "unfinished"
    while killed.poll() is None and not (state.is_dir() and list(state.glob("training-*.state"))):
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "killed.safetensors").exists()
    assert start("killed.safetensors", "two").wait() == 0
    whole, resumed = (tmp_path / f"{name}.safetensors" for name in ("whole", "killed"))
    assert whole.read_bytes() == resumed.read_bytes()
    assert not list(state.glob("*.state"))


def test_integers_learn_and_the_file_says_so(edgecnn: Edgecnn, lenet: Path, photos: Path) -> None:
    shutil.copy(lenet, "lenet5.onnx")
    learn = ("train", "--int8", "--model", "lenet5.onnx", "--data", photos, "--epochs", "1")
    said = edgecnn(*learn, "--target", "onnxruntime-x86", "--json")
    assert said.code == 0, said.err
    step = said.document["steps"][-1]
    assert step["name"] == "fine-tuning"
    assert step["kept"] == (step["gained_db"] > 0)
    assert edgecnn("verify", "lenet5.int8.onnx").code == 0


def test_broken_and_uneven_photos_are_told(edgecnn: Edgecnn, tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "photos", (20, 8, 8))
    (folder / "bar" / "3.png").write_bytes(b"broken")
    (folder / "ball" / "photo.heic").touch()
    for loose in ("10.png", "9.png"):
        PIL.Image.new("RGB", (8, 8)).save(folder / loose)
    said = edgecnn("train", *QUICK, "--data", folder)
    assert said.code == 0, said.err
    assert "bar/3.png" in said.err
    assert "2 files in no class folder (first 9.png)" in said.err
    assert "1 file of a kind that is not read (first ball/photo.heic)" in said.err
    assert "8 to 19 each; rare classes weigh more" in said.out
    assert "bar/3.png" in Path("lenet5-photos.html").read_text()


def test_a_contact_sheet_shows_what_training_would_see(edgecnn: Edgecnn, photos: Path) -> None:
    shown = ("train", "--model", "mobilenetv2", "--data", photos, "--show-augmented")
    said = edgecnn(*shown, "views.png")
    assert said.code == 0, said.err
    assert "3 photos as they are used, then in 7 views (photos)" in said.out
    with PIL.Image.open("views.png") as sheet:
        assert sheet.size == (8 * 164 + 4, 3 * 164 + 4)
        assert edgecnn(*shown, "views.jpg").code == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--model", "lenet5"), "say what to train and on what"),
        (("--model", "lennet5", "--data", "photos"), "did you mean lenet5"),
        (("--model", "timm:resnet18", "--data", "photos"), "cannot be trained here"),
        (("--model", "lenet5", "--data", "nowhere"), "no such folder or table"),
        (("--model", "lenet5", "--data", "photos", "--tune", "tail"), "is not known"),
        (("--model", "lenet5", "--data", "photos", "--weights", "random"), "--tune all"),
        (("--model", "unet", "--data", "photos"), "unet does not classify"),
        (("--model", "lenet5", "--data", "photos", "--int8"), "FILE.onnx"),
        (("--model", "lenet5", "--data", "photos", "--target", "tensorrt"), "--int8"),
        (
            ("--model", "x.onnx", "--data", "photos", "--int8", "--tune", "all"),
            "--tune does",
        ),
        (("photos",), "photos is a folder: --model NAME --data photos"),
        (("lenet5", "--data", "photos"), "lenet5 is no recipe (FILE.toml): --model lenet5"),
        (("recipe.toml", "--epochs", "3"), "--epochs does not go with a RECIPE"),
        (("--model", "lenet5", "--data", "photos", "-o", "x.onnx"), "ends in .safetensors"),
        ((*SMALL, "--data", "photos", "--lr", "-1"), "cannot be"),
        (("--model", "first.safetensors", "--data", "photos"), "there is no such file"),
        ((*SMALL, "--data", "photos", "--classes", "bar,cat"), "no photos of 'cat'"),
        ((*SMALL, "--data", "photos", "--size", "8"), "cannot see images of 8x8"),
        (("--model", "vgg16", "--data", "photos", "--weights", "no.pth"), "no.pth"),
        (("--model", "lenet5.onnx", "--data", "photos"), "cannot be trained here"),
        (("--model", "photos/bar/1.png", "--data", "photos"), "--model NAME --weights photos/bar"),
    ],
)
def test_what_cannot_be_is_said_in_two_lines(
    edgecnn: Edgecnn, photos: Path, arguments: tuple[str, ...], told: str
) -> None:
    said = edgecnn("train", *arguments)
    assert said.code in (1, 2)
    assert told in said.err
    assert "Traceback" not in said.err
    assert "photos   " not in said.out  # before any of them was read
    assert not list(Path.cwd().glob("*.safetensors"))
