"""Checkpoint files come from strangers: they are read, or refused in one line, and never run."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from edgecnn.contract import Preprocess
from edgecnn.errors import WeightsError
from edgecnn.zoo import find
from edgecnn.zoo.checkpoint import Identity, read_checkpoint, save_checkpoint

TENSORS = {"conv.weight": torch.arange(12.0).reshape(3, 4), "conv.bias": torch.ones(3)}


def pytorch_file(path: Path, content: object, *, old: bool = False) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    return path


def refused(path: Path, cause: str) -> None:
    with pytest.raises(WeightsError, match=cause) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("old", [False, True], ids=["zip", "before PyTorch 1.6"])
@pytest.mark.parametrize(
    "wrapped",
    [
        TENSORS,
        {"state_dict": TENSORS, "epoch": 3},
        {"model": TENSORS, "optimizer": {"lr": 0.1}},
        {"model_state_dict": TENSORS},
        {f"module.{name}": tensor for name, tensor in TENSORS.items()},
        {"state_dict": {f"module._orig_mod.{name}": value for name, value in TENSORS.items()}},
    ],
    ids=["plain", "state_dict", "model", "model_state_dict", "module", "compiled"],
)
def test_tensors_come_out_however_a_script_wrapped_them(
    tmp_path: Path, wrapped: dict[str, object], old: bool
) -> None:
    found = read_checkpoint(pytorch_file(tmp_path / "net.pth", wrapped, old=old))
    assert found.identity is None
    assert list(found.tensors) == list(TENSORS)
    assert all(torch.equal(found.tensors[name], TENSORS[name]) for name in TENSORS)


def test_safetensors_of_anybody(tmp_path: Path) -> None:
    save_file(
        {f"module.{name}": value for name, value in TENSORS.items()}, tmp_path / "a.safetensors"
    )
    found = read_checkpoint(tmp_path / "a.safetensors")
    assert torch.equal(found.tensors["conv.weight"], TENSORS["conv.weight"])


def test_our_own_files_say_what_they_are(tmp_path: Path) -> None:
    build = {"num_classes": 3, "width": 0.125, "in_channels": 1, "small_input": True}
    identity = Identity(
        model="resnet18",
        build=build,
        preprocess=Preprocess(size=(32, 32), color="GRAY", mean=(0.5,), std=(0.5,)),
        labels=("a", "b", "c"),
    )
    network = find("resnet18").build(**build)
    for name in ("one", "two"):
        save_checkpoint(network, tmp_path / f"{name}.safetensors", identity)
    found = read_checkpoint(tmp_path / "one.safetensors")
    assert found.identity == identity
    assert torch.equal(found.tensors["fc.weight"], network.state_dict()["fc.weight"])
    one, two = (tmp_path / f"{name}.safetensors" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    assert sorted(tmp_path.iterdir()) == [one, two]


class Hostile:
    """Unpickling it with code allowed would make a folder."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("old", [False, True])
def test_code_in_a_checkpoint_is_never_run(tmp_path: Path, old: bool) -> None:
    made = tmp_path / "made"
    path = pytorch_file(tmp_path / "net.pth", {"a": Hostile(made)}, old=old)
    refused(path, "holds Python objects besides tensors, which are never run")
    assert not made.exists()


def test_a_bare_pickle_is_never_run(tmp_path: Path) -> None:
    made = tmp_path / "made"
    (tmp_path / "net.pt").write_bytes(pickle.dumps(Hostile(made)))
    refused(tmp_path / "net.pt", "never run|not a PyTorch checkpoint")
    assert not made.exists()


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (nn.Linear(2, 2), "Python objects"),
        ({}, "holds no tensors"),
        ([1, 2], "holds a list, not tensors by name"),
        ({"a": torch.ones(2), "b": 3}, "'b' is not a tensor but of type int"),
        ({"a": torch.tensor([1.0, float("nan")])}, "'a' holds NaN or infinity"),
        ({"a": torch.eye(2).to_sparse()}, "not plain numbers"),
        ({"a": torch.zeros(1).expand(1 << 20, 1 << 20)}, "declares more values than it has"),
    ],
)
def test_what_is_not_tensors_by_name(tmp_path: Path, content: object, cause: str) -> None:
    refused(pytorch_file(tmp_path / "net.pth", content), cause)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pth", b""),
        ("a.pth", b"<html>please log in</html>"),
        ("a.safetensors", b""),
        ("a.safetensors", struct.pack("<Q", 1 << 60) + b"{}"),
        ("a.safetensors", struct.pack("<Q", 2) + b"{}"),
    ],
)
def test_files_that_are_something_else(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, "not a whole checkpoint|not a PyTorch checkpoint|holds no tensors")


def test_a_safetensors_header_that_declares_more_than_the_file(tmp_path: Path) -> None:
    shape = [1 << 20, 1 << 20]
    header = {"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * shape[0] * shape[1]]}}
    text = json.dumps(header).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(64))
    refused(tmp_path / "a.safetensors", "not a whole checkpoint")


def test_an_archive_that_unpacks_to_more_than_it_is(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.pth"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", bytes(50_000_000))
    refused(bomb, "a compressed archive, not a checkpoint")


def test_an_archive_whose_members_share_their_bytes(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("net/data.pkl", bytes(1000))
        for copy in range(200):
            archive.filelist.append(archive.filelist[0])
            archive.NameToInfo[f"{copy}"] = archive.filelist[0]
    (tmp_path / "net.pth").write_bytes(buffer.getvalue())
    refused(tmp_path / "net.pth", "declares more bytes than it has")


def test_a_file_that_is_not_there_and_one_that_is_no_checkpoint(tmp_path: Path) -> None:
    refused(tmp_path / "none.pth", "there is no such file")
    (tmp_path / "photo.jpg").write_bytes(b"jpeg")
    refused(tmp_path / "photo.jpg", ".jpg is not a checkpoint's")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    identity = Identity("lenet5", {"num_classes": 10}, find("lenet5").preprocess)
    save_checkpoint(nn.Linear(3, 2), folder / "a.safetensors", identity)
    return {
        "new.pth": pytorch_file(folder / "a.pth", TENSORS).read_bytes(),
        "old.pth": pytorch_file(folder / "b.pth", TENSORS, old=True).read_bytes(),
        "net.safetensors": (folder / "a.safetensors").read_bytes(),
    }


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(["new.pth", "old.pth", "net.safetensors"]),
    cut=st.floats(0, 1),
    edits=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=6),
)
def test_any_damage_ends_in_tensors_or_in_our_error(
    tmp_path: Path,
    whole: dict[str, bytes],
    name: str,
    cut: float,
    edits: list[tuple[float, int]],
) -> None:
    content = bytearray(whole[name])
    for place, value in edits:
        content[int(place * len(content))] = value
    if not edits:
        del content[int(cut * len(content)) :]
    path = tmp_path / name
    path.write_bytes(bytes(content))
    with contextlib.suppress(WeightsError):
        tensors = read_checkpoint(path).tensors
        assert all(isinstance(tensor, torch.Tensor) for tensor in tensors.values())


def test_real_files_of_two_generations(real_data: Path) -> None:
    resnet20 = read_checkpoint(real_data / "weights" / "cifar10" / "resnet20-12fca82f.th")
    assert "conv1.weight" in resnet20.tensors
    squeezenet = read_checkpoint(real_data / "weights" / "imagenet" / "squeezenet1_1.pth")
    assert squeezenet.tensors["features.0.weight"].shape == (64, 3, 3, 3)
