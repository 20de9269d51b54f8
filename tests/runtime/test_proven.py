"""Before its first answer a file proves itself on the engine, once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from edgecnn.errors import EngineError
from edgecnn.onnxfile import read_contract, write_contract
from edgecnn.runtime import Classification, Model, cache, load
from edgecnn.runtime.golden import Verification, make_golden
from tests.profiling.toys import color_picture, write_color_net


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A file with a golden check."""
    plain = write_color_net(tmp_path / "plain.onnx")
    with load(plain, threads=1) as model:
        golden = make_golden([color_picture(5)], model.logits, precision="fp32")
    contract = dataclasses.replace(read_contract(plain), golden=golden)
    write_contract(plain, tmp_path / "net.onnx", contract)
    return tmp_path / "net.onnx"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were asked for their golden answer, in turn."""
    names: list[str] = []
    verify = Model.verify

    def noted(model: Model) -> Verification:
        names.append(model.path.name)
        return verify(model)

    monkeypatch.setattr(Model, "verify", noted)
    return names


def wrong(net: Path) -> Path:
    """The same file with an answer that its network does not give."""
    contract = read_contract(net)
    assert contract.golden is not None
    (index, value), *rest = contract.golden.top
    golden = dataclasses.replace(contract.golden, top=((index, value + 1), *rest))
    target = net.with_name("wrong.onnx")
    write_contract(net, target, dataclasses.replace(contract, golden=golden))
    return target


def test_only_the_first_start_asks(net: Path, asked: list[str]) -> None:
    for _ in range(3):
        load(net, threads=1).close()
    assert asked == ["net.onnx"]


def test_an_engine_that_was_built_again_is_asked_again(net: Path, asked: list[str]) -> None:
    load(net, threads=1).close()
    for entry in cache.entries():
        cache.discard(entry.path)
    load(net, threads=1).close()
    assert len(asked) == 2


def test_another_way_of_preprocessing_is_asked_again(
    net: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load(net, threads=1).close()
    monkeypatch.setattr("edgecnn.runtime.native.in_use", lambda: "another helper")
    load(net, threads=1).close()
    assert len(asked) == 2


def test_a_wrong_answer_is_told_with_file_engine_and_difference_at_every_start(net: Path) -> None:
    file = wrong(net)
    for _ in range(2):
        with pytest.raises(EngineError, match=r"wrong\.onnx: .* onnxruntime .* off by 1") as caught:
            load(file, threads=1)
        assert caught.value.hint


def test_who_wants_to_see_for_himself_leaves_the_check_out(net: Path, asked: list[str]) -> None:
    with load(wrong(net), threads=1, check=False) as model:
        assert isinstance(model(color_picture(5)), Classification)
        assert not asked
        assert model.verify().problem.startswith("off by 1, 0.0")


def test_without_room_for_a_note_each_start_asks(
    net: Path, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        load(net, threads=1).close()
    assert len(asked) == 2
