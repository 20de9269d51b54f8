"""A network from anywhere: somebody's function, torchvision or timm, exported like our own."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecnn.onnxfile import read_contract
from edgecnn.pipeline.contracts import ContractOptions
from edgecnn.pipeline.narrator import Silent
from edgecnn.pipeline.sources import file_stem, load_network
from tests.cli.conftest import Edgecnn, edgecnn

__all__ = ["edgecnn"]

ROOT = Path(__file__).parents[2]

NETS = """
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 14 * 14, 5))

def gray():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 14 * 14, 5))

def asks(classes):
    return build()

def forgets():
    build()

def two():
    class Two(nn.Module):
        def forward(self, images):
            return images, images
    return Two()

classes = 5
ready = build()
hidden = print("a banner") or "what the module prints"

def leaves():
    raise SystemExit("no network today")

def lazy():
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(5))

def half():
    return build().half()

def double():
    return build().double()

def mixed():
    return nn.Sequential(build(), nn.BatchNorm1d(5).double())

def couple():
    class Couple(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = build()
        def forward(self, images, masks):
            return self.one(images * masks)
    return Couple()

def talks():
    class Talks(nn.Sequential):
        def forward(self, images):
            print("a network that talks")
            return super().forward(images)
    return Talks(build())
"""
SAID = ("--size", "16", "--mean", "0.5", "--std", "0.25")


@pytest.fixture
def nets(tmp_path: Path) -> Iterator[str]:
    """A package in the folder where the command runs."""
    package = tmp_path / "mypkg"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "nets.py").write_text(NETS)
    (package / "leaves.py").write_text("import sys; sys.exit(3)")
    yield "mypkg.nets"
    for name in [name for name in sys.modules if name.split(".")[0] == "mypkg"]:
        del sys.modules[name]


def test_a_function_gives_the_network_and_the_options_its_contract(
    edgecnn: Edgecnn, nets: str
) -> None:
    said = edgecnn("export", f"{nets}:build", *SAID)
    assert said.code == 0, said.err
    contract = read_contract(Path("nets.onnx"))
    assert contract.name == "mypkg.nets:build"
    assert contract.preprocess.size == (16, 16)
    assert contract.preprocess.mean == (0.5,) * 3
    assert contract.provenance["weights"]["source"] == "built by mypkg.nets:build"
    assert edgecnn("verify", "nets.onnx").code == 0


@pytest.mark.usefixtures("nets")
def test_what_it_draws_follows_from_the_seed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    said = ContractOptions(size=(16, 16), mean=(0.5,), std=(0.5,))
    first, again, other = (
        load_network(
            "mypkg.nets:build", weights=None, seed=seed, contract=said, narrator=Silent()
        ).weights["sha256"]
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_a_gray_network(edgecnn: Edgecnn, nets: str) -> None:
    said = edgecnn("export", f"{nets}:gray", *SAID, "--color", "GRAY")
    assert said.code == 0, said.err
    assert read_contract(Path("gray.onnx")).inputs[0].shape == (1, 1, 16, 16)


@pytest.mark.usefixtures("nets")
def test_the_installed_command_looks_into_this_folder_too(tmp_path: Path) -> None:
    """Unlike `python -m`, it is not started with the folder on its path; -P is like it."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "edgecnn", "export", "mypkg.leaves:build", *SAID],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "EDGECNN_CACHE": str(tmp_path / "cache")},
    )
    assert "it ended the program, sys.exit(3)" in done.stderr, "it is found"


@pytest.mark.parametrize(
    ("arguments", "cause", "hint"),
    [
        (("mypkg.nets:build",), "it is not said how its images are prepared", "--size 224"),
        (("mypkg.nets:build", "--size", "16"), "it is not said how", "--mean 0.485"),
        (("mypkg.none:build", *SAID), "ModuleNotFoundError", "it is looked for in"),
        (("mypkg.nets:none", *SAID), "mypkg.nets has no function 'none'", "module:function"),
        (("mypkg.nets:classes", *SAID), "has no function 'classes'", "module:function"),
        (("mypkg.nets:asks", *SAID), "asks() failed: TypeError", "without arguments"),
        (("mypkg.nets:forgets", *SAID), "returned a NoneType", "return an nn.Module"),
        (
            ("mypkg.nets:build", *SAID, "--weights", "x"),
            "--weights does not go",
            "inside build",
        ),
        (
            ("mypkg.nets:leaves", *SAID),
            "leaves() failed: it ended the program, sys.exit('no network today')",
            "without arguments",
        ),
        (("mypkg.leaves:build", *SAID), "it ended the program, sys.exit(3)", "it is looked for in"),
        (("mypkg.nets:lazy", *SAID), "0.weight has no shape yet", "run the network once"),
        (("mypkg.nets:half", *SAID), "0.weight is float16, not float32", "network.float()"),
        (("mypkg.nets:double", *SAID), "0.weight is float64, not float32", "network.float()"),
        (("mypkg.nets:mixed", *SAID), "1.weight is float64, not float32", "network.float()"),
        ((":build", *SAID), "no module is named", "package.module:function"),
        (("mypkg.nets:", *SAID), "no function is named", "package.module:function"),
        (("timm:resnet18", "--weights", "a.pth"), "--weights a.pth does not go", "official or"),
        (("torchvision:resnet18", *SAID), "--mean does not go", "--size and --labels"),
    ],
)
def test_what_cannot_be_had_is_told(
    edgecnn: Edgecnn, nets: str, arguments: tuple[str, ...], cause: str, hint: str
) -> None:
    said = edgecnn("export", *arguments)
    assert said.code == 2, said.err
    told, advice = said.err.strip().splitlines()[-2:]
    assert cause in told
    assert hint in advice
    assert not list(Path().glob("*.onnx"))


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("gray",), "it takes grey images: --color GRAY"),
        (("build", "--color", "GRAY", "--mean", "0.5"), "leave --color GRAY away"),
        (("couple",), "forward() takes the images alone"),
    ],
)
def test_what_a_network_cannot_take_is_told(
    edgecnn: Edgecnn, nets: str, arguments: tuple[str, ...], hint: str
) -> None:
    function, *others = arguments
    said = edgecnn("export", f"{nets}:{function}", *SAID, *others)
    assert said.code == 1, said.err
    told, advice = said.err.strip().splitlines()[-2:]
    assert "does not run on an input of (1, " in told
    assert hint in advice
    assert not list(Path().glob("*.onnx"))


def test_a_network_that_lies_ready_is_taken(edgecnn: Edgecnn, nets: str) -> None:
    said = edgecnn("export", f"{nets}:ready", *SAID)
    assert said.code == 0, said.err
    assert read_contract(Path("ready.onnx")).name == f"{nets}:ready"


@pytest.mark.parametrize("function", ["build", "talks"])
def test_what_others_print_is_no_part_of_the_answer(
    edgecnn: Edgecnn, nets: str, function: str
) -> None:
    said = edgecnn("export", f"{nets}:{function}", *SAID, "--json")
    assert said.code == 0, said.err
    assert said.document["model"] == f"{nets}:{function}"
    assert "a banner" in said.err
    assert ("a network that talks" in said.err) == (function == "talks")


def test_two_outputs_are_no_logits(edgecnn: Edgecnn, nets: str) -> None:
    said = edgecnn("export", f"{nets}:two", *SAID)
    assert said.code == 1
    assert "Traceback" not in said.err


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_a_library_that_is_missing_is_named(edgecnn: Edgecnn, library: str) -> None:
    if importlib.util.find_spec(library):
        pytest.skip(f"{library} is installed")
    said = edgecnn("export", f"{library}:resnet18", "--weights", "random")
    assert said.code == 2
    assert f"Error: {library} is not installed" in said.err
    assert f"pip install {library}" in said.err


def test_a_network_of_torchvision_brings_its_own_preprocessing(edgecnn: Edgecnn) -> None:
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    said = edgecnn("export", "torchvision:squeezenet1_1", "--weights", "random")
    assert said.code == 0, said.err
    contract = read_contract(Path("squeezenet1_1.onnx"))
    assert (contract.preprocess.size, contract.preprocess.resize) == ((224, 224), 256)
    assert contract.preprocess.mean == (0.485, 0.456, 0.406)
    assert contract.random_weights


def test_a_network_of_timm_brings_its_own_preprocessing(edgecnn: Edgecnn) -> None:
    pytest.importorskip("timm", reason="timm is not installed")
    said = edgecnn("export", "timm:mobilenetv3_small_050", "--weights", "random")
    assert said.code == 0, said.err
    contract = read_contract(Path("mobilenetv3_small_050.onnx"))
    assert contract.preprocess.filter == "bicubic"
    assert contract.random_weights


@pytest.mark.parametrize(
    ("model", "stem"),
    [
        ("MobileNet-V2", "mobilenetv2"),
        ("mypkg.nets:build", "nets"),
        ("mypkg.nets:small", "small"),
        ("timm:resnet50.a1_in1k", "resnet50.a1_in1k"),
        ("timm:hf_hub/them/net", "hf_hub_them_net"),
    ],
)
def test_files_are_called_after_their_network(model: str, stem: str) -> None:
    assert file_stem(model) == stem
