"""The culprit goes back to float first, and float it really is where it runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import ModelProto

from edgecnn.graph.fold import fold
from edgecnn.graph.latency import Extra
from edgecnn.graph.normal import read_model
from edgecnn.graph.rescue import Rescue
from edgecnn.graph.sensitivity import sensitivity
from edgecnn.graph.targets import find_target
from tests import toy
from tests.graph.culprits import coarse_layer, loud_channel
from tests.graph.running import answers, optimized_ops, sqnr_db
from tests.graph.test_qdq import quantized

X86 = find_target("onnxruntime-x86")
IMAGE = next(toy.images(1, seed=8)())


def rescue_of(model: ModelProto) -> Rescue:
    folded, int8 = fold(read_model(model)), quantized(model)
    return Rescue(folded, int8, X86, sensitivity(folded, int8, toy.images(8, seed=4)()))


@pytest.fixture(autouse=True)
def same_price(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every layer costs the same: what is measured in microseconds must not decide a test."""
    monkeypatch.setattr(Rescue, "price", lambda _, names, __: Extra(1.0, 0.1 * len(names)))


def test_coarse_weights_go_back_alone(tmp_path: Path) -> None:
    model, culprit = coarse_layer()
    order = rescue_of(model).order(IMAGE)
    assert order[0].names == (culprit,)
    assert order[0].spared > 0.99
    assert order[0].gained_db > 20
    rescued = quantized(model, keep_float=order[0].names)
    assert sqnr_db(answers(model), answers(rescued)) > 20
    assert sqnr_db(answers(model), answers(quantized(model))) < 10
    ops = optimized_ops(rescued, tmp_path)
    float_convolutions = ops["Conv"] + ops["FusedConv"]
    assert (float_convolutions, ops["QLinearConv"]) == (1, 3)


def test_a_loud_channel_is_spared_by_whoever_makes_and_reads_it(tmp_path: Path) -> None:
    model, culprit = loud_channel()
    alone = quantized(model, keep_float=(culprit,))
    before = sqnr_db(answers(model), answers(quantized(model)))
    assert sqnr_db(answers(model), answers(alone)) < before + 3, "its rounded output stays"
    order = rescue_of(model).order(IMAGE)
    assert set(order[0].names) == {culprit, "conv_4"}
    rescued = quantized(model, keep_float=order[0].names)
    assert sqnr_db(answers(model), answers(rescued)) > before + 15
    ops = optimized_ops(rescued, tmp_path)
    assert (ops["Conv"] + ops["FusedConv"], ops["QLinearConv"]) == (2, 2)


def test_the_optimiser_leaves_a_rescued_layer_in_float() -> None:
    """Between Q and DQ it would round a float weight with one scale for the whole tensor."""
    model, _ = coarse_layer()
    rescued = quantized(model, keep_float=rescue_of(model).order(IMAGE)[0].names)
    assert sqnr_db(answers(rescued, plain=True), answers(rescued)) > 40


@pytest.mark.parametrize("name", ["residual", "concat"])
def test_choices_spare_more_and_more_and_never_the_same_twice(name: str) -> None:
    order = rescue_of(toy.NETS[name]()).order(IMAGE)
    assert len(order) > 1
    named = [node for choice in order for node in choice.names]
    assert len(named) == len(set(named))
    left = [choice.left for choice in order]
    assert left == sorted(left, reverse=True)
    assert sum(choice.spared for choice in order) + left[-1] == pytest.approx(1)
    assert all(choice.gained_db > 0 for choice in order)


def test_no_choice_leaves_no_layer() -> None:
    model = fold(read_model(toy.plain()))
    assert rescue_of(toy.plain()).noise([node.name for node in model.graph.node]) is None
