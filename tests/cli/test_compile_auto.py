"""`edgecnn compile --engine auto`: which engine, what the others took, and whether INT8 pays."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from edgecnn.cli.app import run
from edgecnn.contract import Contract
from edgecnn.onnxfile import read_contract
from edgecnn.pipeline.fastest import Fastest, Verdict
from edgecnn.runtime import cache
from edgecnn.runtime.auto import Choice, Entrant
from edgecnn.runtime.race import Ratio
from tests import toy
from tests.profiling.toys import write_color_net


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "cache"))


def twins(
    folder: Path, *, integer_work: int, float_work: int, floats: str = "fp32"
) -> tuple[str, str]:
    """A float file and one that is called INT8, with more or less work in it."""
    made = []
    for precision, work in ((floats, float_work), ("int8", integer_work)):
        provenance = {"model": "colors", "precision": precision}
        path = write_color_net(folder / f"{precision}.onnx", work=work, provenance=provenance)
        made.append(str(path))
    return made[0], made[1]


def test_it_names_the_engine_and_the_file_to_take(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the INT8 files and of the float files the fastest are compared."""
    plain, integer = twins(tmp_path, integer_work=0, float_work=60)
    (tmp_path / "others").mkdir()
    half, slow = twins(tmp_path / "others", integer_work=40, float_work=20, floats="fp16")
    command = ["compile", plain, slow, integer, half, "--engine", "auto"]
    assert run(command) == 0
    said = capsys.readouterr().out
    assert f"compile      {plain}: " in said
    assert f"take         {integer} on " in said
    assert "the time of" in said
    assert run([*command, "--json"]) == 0
    (take,) = json.loads(capsys.readouterr().out)["take"]
    assert (take["file"], take["int8"], take["float"]) == (integer, integer, half)


def test_int8_that_does_not_pay_falls_back_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, integer = twins(tmp_path, integer_work=60, float_work=0)
    assert run(["compile", plain, integer, "--engine", "auto", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (take,) = document["take"]
    assert take["file"] == plain
    assert take["int8_over_float"]["low"] > 1
    assert [result["file"] for result in document["results"]] == [plain, integer]
    assert all(result["made"] for result in document["results"])
    assert run(["compile", plain, integer, "--engine", "auto"]) == 0
    said = capsys.readouterr().out
    assert "INT8 does not pay here" in said
    assert "measured before" in said


@pytest.mark.parametrize(
    ("ratio", "advice"),
    [
        (Ratio(0.5, 0.4, 0.6), "int8 on openvino: 0.50x (0.40-0.60) the time of fp32"),
        (Ratio(0.9, 0.8, 1.3), "fp32 on litert: INT8 is not faster by enough to tell here, int8"),
        (Ratio(1.2, 1.1, 1.3), "fp32 on litert: INT8 does not pay here, int8 takes 1.20x"),
    ],
)
def test_the_advice_says_what_the_interval_says(ratio: Ratio, advice: str, tmp_path: Path) -> None:
    contract: Contract = read_contract(write_color_net(tmp_path / "net.onnx"))
    integer, plain = (
        Fastest(Path(name), contract, Choice(engine, 1, 4, (Entrant(engine, engine, 1.0),)))
        for name, engine in (("int8", "openvino"), ("fp32", "litert"))
    )
    assert Verdict(integer, plain, ratio).advice.startswith(advice)


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--engine", "tensort"), 2, "unknown engine 'tensort'"),
        (("--engine", "onnxruntime:abacus"), 2, "unknown provider 'abacus'"),
        (("missing.onnx",), 1, "missing.onnx: there is no such file"),
    ],
)
def test_what_is_typed_wrongly_is_said_before_any_work(
    more: tuple[str, ...], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, _ = twins(tmp_path, integer_work=0, float_work=0)
    assert run(["compile", plain, *more]) == code
    written = capsys.readouterr()
    assert said in written.err
    assert not written.out
    assert not cache.entries()


def test_a_file_without_a_contract_is_told_before_another_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, _ = twins(tmp_path, integer_work=0, float_work=0)
    bare = tmp_path / "bare.onnx"
    onnx.save(toy.plain(), bare)
    assert run(["compile", plain, str(bare), "--engine", "auto"]) == 1
    assert f"give it one: edgecnn export {bare} --size 224" in capsys.readouterr().err
    assert {entry.about for entry in cache.entries()} <= {"preprocessing for this CPU"}


def test_a_gpu_that_is_elsewhere_cannot_be_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, _ = twins(tmp_path, integer_work=0, float_work=0)
    assert run(["compile", plain, "--engine", "auto", "--compute-capability", "86"]) == 2
    assert "--compute-capability says nothing to auto" in capsys.readouterr().err


def test_force_measures_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, _ = twins(tmp_path, integer_work=0, float_work=0)
    command = ["compile", plain, "--engine", "auto", "--threads", "1", "--json"]
    made = []
    for more in ([], [], ["--force"]):
        assert run([*command, *more]) == 0
        (result,) = json.loads(capsys.readouterr().out)["results"]
        made.append(result["made"])
        assert result["threads"] == 1
    assert made == [True, False, True]


def test_force_builds_an_engine_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, _ = twins(tmp_path, integer_work=0, float_work=0)
    built = []
    for more in ([], [], ["--force"]):
        assert run(["compile", plain, "--json", *more]) == 0
        built.append(json.loads(capsys.readouterr().out)["results"][0]["built"])
    assert built == [True, False, True]


def test_threads_are_for_measuring(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, _ = twins(tmp_path, integer_work=0, float_work=0)
    assert run(["compile", plain, "--threads", "1"]) == 2
    assert "--threads says nothing to compile for onnxruntime" in capsys.readouterr().err
