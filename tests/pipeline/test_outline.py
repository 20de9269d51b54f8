"""`inspect` looks at any network that `export` takes, layer by layer."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgecnn.zoo import find
from edgecnn.zoo.checkpoint import Identity, save_checkpoint
from tests.cli.conftest import Edgecnn, edgecnn

__all__ = ["edgecnn"]

NETS = """
from torch import nn

class Viewed(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3)
        self.fc = nn.Linear(4 * 14 * 14, 5)

    def forward(self, images):
        return self.fc(self.conv(images).view(images.size(0), -1))

class Attentive(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 4, 4)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, images):
        tokens = self.conv(images).flatten(2).transpose(1, 2)
        return self.attention(tokens, tokens, tokens)[0].mean(1)

class Twice(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 3, 1))

    def forward(self, images):
        return self[0](self[0](images)).mean((2, 3))

def build():
    return Viewed(3)

def gray():
    return Viewed(1)
"""


@pytest.fixture
def nets(tmp_path: Path) -> Iterator[None]:
    """A module in the folder where the command runs."""
    (tmp_path / "looked_at.py").write_text(NETS)
    yield
    sys.modules.pop("looked_at", None)


def rows(edgecnn: Edgecnn, *arguments: object) -> Any:
    said = edgecnn("inspect", *arguments, "--json")
    assert said.code == 0, said.err
    return said.document


@pytest.mark.usefixtures("nets")
def test_a_function_that_cannot_take_an_empty_batch(edgecnn: Edgecnn) -> None:
    found = rows(edgecnn, "looked_at:build", "--size", "16")
    assert (found["model"], found["input"]) == ("looked_at:build", [1, 3, 16, 16])
    assert [row["name"] for row in found["layers"]] == ["conv", "fc"]
    assert found["macs"] == 27 * 4 * 14 * 14 + 4 * 14 * 14 * 5
    assert rows(edgecnn, "looked_at:gray", "--size", "16")["input"] == [1, 1, 16, 16]


@pytest.mark.usefixtures("nets")
def test_what_is_in_no_layer_is_said(edgecnn: Edgecnn) -> None:
    said = edgecnn("inspect", "looked_at:Attentive", "--size", "16")
    assert said.code == 0, said.err
    assert f"{4 * 8 * (8 + 1)} parameters are in no layer of this table." in said.out
    for whole in ("build", "Twice"):
        assert "in no layer" not in edgecnn("inspect", f"looked_at:{whole}", "--size", "16").out


@pytest.mark.usefixtures("nets")
@pytest.mark.parametrize(
    ("arguments", "cause", "hint"),
    [
        (("looked_at:build",), "it is not said how large its images are", "--size 224"),
        (("looked_at:build", "--size", "17"), "does not run on an input of (1, 3, 17, 17)", "size"),
        (("inception_v3", "--size", "32"), "Inception V3 does not run on an input of", "size"),
        (("unet", "--size", "100"), "images of 100x100", "16 k + 124"),
        (("looked_at:none", "--size", "16"), "has no function 'none'", "module:function"),
        (("gone.safetensors",), "there is no such file", ""),
    ],
)
def test_what_cannot_be_looked_at_is_told(
    edgecnn: Edgecnn, arguments: tuple[str, ...], cause: str, hint: str
) -> None:
    said = edgecnn("inspect", *arguments)
    assert said.code in (1, 2)
    told, advice = said.err.strip().splitlines()[-2:]
    assert cause in told
    assert hint in advice


def test_a_checkpoint_is_the_network_that_it_says(edgecnn: Edgecnn, tmp_path: Path) -> None:
    spec = find("mobilenetv2")
    build = {"num_classes": 7, "width": 0.25, "small_input": True}
    recipe = find("resnet20").preprocess
    save_checkpoint(
        spec.build(**build), tmp_path / "mine.safetensors", Identity(spec.name, build, recipe)
    )
    found = rows(edgecnn, "mine.safetensors", "--device", "raspberry-pi-5")
    assert (found["model"], found["input"]) == ("mobilenetv2", [1, 3, 32, 32])
    assert found["layers"][-1]["output_shape"] == [7]
    assert found["device"]["name"] == "raspberry-pi-5"


def test_a_network_of_the_zoo_for_images_of_another_size(edgecnn: Edgecnn) -> None:
    found = rows(edgecnn, "resnet18", "--size", "192x256")
    assert found["input"] == [1, 3, 192, 256]
    first = found["layers"][0]
    assert first["output_shape"] == [64, 96, 128]
    assert edgecnn("inspect", "resnet18", "--size", "big").code == 2


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_a_library_brings_its_networks_or_is_named(edgecnn: Edgecnn, library: str) -> None:
    if importlib.util.find_spec(library) is None:
        said = edgecnn("inspect", f"{library}:resnet18")
        assert said.code == 2
        assert f"pip install {library}" in said.err
        return
    found = rows(edgecnn, f"{library}:resnet18")
    assert found["parameters"] == 11_689_512
    assert found["macs"] == rows(edgecnn, "resnet18")["macs"]
