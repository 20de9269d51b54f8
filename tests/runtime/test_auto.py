"""`auto` takes the fastest engine that answers rightly, and remembers it."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.contract import Contract
from edgecnn.errors import ContractError, EngineError
from edgecnn.onnxfile import model_sha256, read_contract, write_contract
from edgecnn.runtime import auto, cache, load
from edgecnn.runtime.auto import Choice, Entrant, choose, known_choice
from edgecnn.runtime.correctness import check_answers, least_sqnr_db
from edgecnn.runtime.golden import make_golden
from edgecnn.runtime.race import Ratio
from tests import requirements
from tests.graph.test_half import with_half_scales
from tests.profiling.toys import COLORS, SIDE, color_picture, write_color_net


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A file with a golden check."""
    path = write_color_net(tmp_path / "net.onnx", work=4)
    with load(path) as model:
        pictures = [color_picture(index, side=SIDE) for index in range(4)]
        golden = make_golden(pictures, lambda image: model.logits(image), precision="fp32")
        return rewritten(path, dataclasses.replace(model.contract, golden=golden))


def rewritten(path: Path, contract: Contract) -> Path:
    write_contract(path.read_bytes(), path, contract)
    return path


def chosen(path: Path, **options: Any) -> Choice:
    options = {"threads": 1, **options}
    return choose(path, contract=read_contract(path), sha256=model_sha256(path), **options)


def test_the_choice_is_made_once_and_holds_what_the_others_took(net: Path) -> None:
    asked = []

    def images() -> list[Any]:
        asked.append(1)
        return [color_picture(7, side=SIDE)]

    first = chosen(net, images=images)
    again = chosen(net, images=images)
    assert first.made
    assert again == dataclasses.replace(first, made=False)
    assert len(asked) == 1, "images are made only to measure"
    assert first.images == 5, "the golden image, three variants of it, and this one"
    best, *others = first.entrants
    assert best.engine == first.engine
    assert best.ratio is not None
    assert best.ratio.value == 1
    for entrant in others:
        assert entrant.problem or (entrant.p50_ms and entrant.ratio)
    assert any(entry.about == "net.onnx: the fastest engine" for entry in cache.entries())
    assert json.loads(json.dumps(first.document()))["engine"] == first.engine
    assert chosen(net, again=True).made
    assert not chosen(net).made


def test_it_holds_for_one_number_of_threads_and_one_gpu(
    net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen(net, threads=2)
    sha256 = model_sha256(net)
    assert known_choice(sha256=sha256, threads=2) is not None
    assert known_choice(sha256=sha256, threads=1) is None
    monkeypatch.setattr(auto, "device_name", lambda: "the same machine, NVIDIA GeForce RTX 3060")
    assert known_choice(sha256=sha256, threads=2) is None


def test_all_installed_engines_are_looked_at_and_bf16_never_is(net: Path) -> None:
    requirements.openvino()
    looked_at = {entrant.engine for entrant in chosen(net).entrants}
    assert {"onnxruntime", "openvino"} <= looked_at
    assert "openvino-bf16" not in looked_at
    modules = {"litert": "ai_edge_litert", "tensorrt": "tensorrt"}
    for engine in looked_at & set(modules):
        assert importlib.util.find_spec(modules[engine]) is not None


def test_load_takes_it_answers_with_it_and_says_why(net: Path) -> None:
    with load(net, engine="auto", threads=1, wait=True) as model, load(net) as reference:
        assert model.engine.name == chosen(net).engine
        assert not chosen(net).made
        assert model.verify().passed
        picture = color_picture(5)
        assert np.allclose(model.logits(picture), reference.logits(picture), atol=1e-4)
        assert model.facts["auto"].startswith(f"chose {model.engine.name}: ")
        assert model.facts["engine"] == model.engine.facts["engine"]


def test_nobody_waits_while_engines_are_measured(net: Path) -> None:
    with load(net) as model:
        assert model.engine.name == "onnxruntime"
        assert "auto" not in model.facts


def test_why_names_the_next_one_and_whether_it_could_be_told() -> None:
    best = Entrant("openvino", "openvino 2026.4", 1.0, Ratio(1.0, 1.0, 1.0))
    slow = Entrant("onnxruntime", "onnxruntime 1.31", 1.25, Ratio(1.25, 1.2, 1.3))
    near = Entrant("tensorrt", "tensorrt 10", 1.01, Ratio(1.01, 0.99, 1.02))
    out = Entrant("tensorrt-rtx", problem="no GPU")
    told = {
        entrants: Choice(best.engine, 1, 4, (best, *entrants, out)).why
        for entrants in ((slow,), (near, slow), ())
    }
    assert list(told.values()) == [
        "chose openvino: onnxruntime 1.31 takes 1.25x (1.20-1.30) its time",
        "chose openvino: tensorrt 10 takes 1.01x (0.99-1.02) its time, too near to tell",
        "chose openvino: no other engine here answers rightly",
    ]


def test_no_engine_is_taken_where_the_golden_check_fails(net: Path, own_cache: Path) -> None:
    contract = read_contract(net)
    assert contract.golden is not None
    top = tuple((index, value + 1) for index, value in contract.golden.top)
    off = rewritten(
        net, dataclasses.replace(contract, golden=dataclasses.replace(contract.golden, top=top))
    )
    with pytest.raises(EngineError, match=r"no engine runs it rightly .*off by 1"):
        chosen(off)
    assert not [entry for entry in cache.entries() if "fastest" in entry.about]


def test_an_engine_that_rounds_otherwise_is_not_right(net: Path) -> None:
    """BF16 answers with the same class, and is not FP32 for that."""
    requirements.openvino()
    try:
        other = load(net, engine="openvino-bf16")
    except EngineError as error:
        pytest.skip(str(error))
    with other, load(net) as reference, load(net, engine="openvino") as same:
        tensors = [other.preprocess(color_picture(index)) for index in range(len(COLORS))]
        wanted, near, far = (
            tuple(model.outputs(tensor) for tensor in tensors) for model in (reference, same, other)
        )
        check_answers(same, near, wanted)
        with pytest.raises(EngineError, match="dB from the reference, 60 are asked for"):
            check_answers(same, far, wanted)


@pytest.mark.parametrize(
    ("precision", "told_db", "least_db"),
    [
        ("int8", 30.0, 20.0),
        ("int8", 16.6, 13.6),
        ("int8", 4.8, 3.0),
        ("int8", None, 20.0),
        ("int8", "much", 20.0),
        ("fp32", 16.6, 60.0),
    ],
)
def test_int8_that_is_far_from_fp32_may_be_as_far_from_another_engines(
    net: Path, precision: str, told_db: object, least_db: float
) -> None:
    steps = [{"step": "export"}, {"step": "quantize", "check": {"sqnr_db": told_db}}]
    contract = dataclasses.replace(read_contract(net), provenance={"steps": steps})
    assert least_sqnr_db(precision, contract) == pytest.approx(least_db)


def test_answers_that_are_no_numbers_are_not_right(net: Path) -> None:
    with load(net) as model:
        wanted = (model.outputs(model.preprocess(color_picture(0))),)
        broken = (tuple(np.full_like(output, np.nan) for output in wanted[0]),)
        with pytest.raises(EngineError, match="nan dB"):
            check_answers(model, broken, wanted)


def test_int8_with_float16_scales_is_left_to_an_engine_that_can(tmp_path: Path) -> None:
    requirements.openvino()
    path = with_half_scales(tmp_path)
    contract = read_contract(write_color_net(tmp_path / "colors.onnx"))
    found = choose(path, contract=contract, sha256=model_sha256(path), threads=1)
    assert found.engine != "onnxruntime"
    refused = next(entrant for entrant in found.entrants if entrant.engine == "onnxruntime")
    assert "float16 scales" in refused.problem


def test_a_contract_that_does_not_fit_is_no_engines_fault(net: Path) -> None:
    contract = read_contract(net)
    preprocess = dataclasses.replace(contract.preprocess, size=(8, 8))
    with pytest.raises(ContractError, match="its images are prepared as"):
        chosen(rewritten(net, dataclasses.replace(contract, preprocess=preprocess)))


def test_without_a_cache_it_is_measured_each_time(
    net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "file"))
    assert chosen(net).made
    assert known_choice(sha256=model_sha256(net), threads=1) is None


def overwrite_choice(**changes: object) -> None:
    """The cache's choice says something else, and looks untouched."""
    entry = next(entry for entry in cache.entries() if "fastest" in entry.about)
    file = entry.path / "choice.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    about = json.loads((entry.path / "about.json").read_text())
    about["files"]["choice.json"] = [file.stat().st_size, file.stat().st_mtime_ns]
    (entry.path / "about.json").write_text(json.dumps(about))


def test_a_choice_that_cannot_be_read_or_used_is_made_again(net: Path) -> None:
    chosen(net)
    overwrite_choice(entrants=[{"engine": "abacus"}])
    assert chosen(net).made
    overwrite_choice(engine="onnxruntime:cuda")  # its GPU was there when it was chosen
    with load(net, engine="auto", threads=1) as model:
        assert model.engine.name == "onnxruntime", "nobody waits while engines are measured"
    with load(net, engine="auto", threads=1, wait=True) as model:
        assert model.engine.name == chosen(net).engine != "onnxruntime:cuda"
