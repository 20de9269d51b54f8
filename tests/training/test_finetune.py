"""Integers that are trained: the simulation is the file, and only what helps is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import ModelProto

from edgecnn.errors import GraphError
from edgecnn.graph.check import Judge
from edgecnn.graph.fold import fold
from edgecnn.graph.normal import read_model
from edgecnn.graph.quantize import quantize_model
from edgecnn.graph.session import Session
from edgecnn.graph.targets import TARGETS
from edgecnn.graph.wiring import wiring
from edgecnn.training.finetune import Tuning, finetune
from edgecnn.training.graph_net import GraphNet
from edgecnn.training.graph_ops import OPS, Node
from tests import toy

IMAGES = toy.images(24)
FRESH = toy.images(24, seed=7)


def quantized(net: Callable[[], ModelProto], target: str = "onnxruntime-x86") -> ModelProto:
    return quantize_model(net(), IMAGES, target=target, effort="fast", method="minmax").model


def integers(model: ModelProto) -> dict[str, bytes]:
    edges = wiring(model)
    return {
        name: np.asarray(value).tobytes()
        for name in edges.constants
        if (value := edges.constant(name)) is not None and value.dtype in (np.int8, np.int32)
    }


@pytest.mark.parametrize("name", sorted(toy.NETS))
def test_a_float_graph_answers_as_in_onnxruntime(name: str) -> None:
    model = fold(read_model(toy.NETS[name]()))
    batch = np.concatenate(list(IMAGES()))
    with torch.no_grad():
        found = GraphNet(model)(torch.from_numpy(batch)).numpy()
    session = Session(model, threads=1)
    expected = np.concatenate([session.run(image)[0] for image in IMAGES()])
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.parametrize("name", ["depthwise", "residual", "concat", "excited"])
def test_the_simulation_is_the_file(name: str, target: str) -> None:
    model = quantized(toy.NETS[name], target)
    net = GraphNet(model, largest_weight=TARGETS[target].largest_weight)
    assert integers(net.written()) == integers(model)
    with torch.no_grad():
        found = net(torch.from_numpy(np.concatenate(list(FRESH())))).numpy()
    session = Session(model, threads=1)
    expected = np.concatenate([session.run(image)[0] for image in FRESH()])
    assert np.array_equal(found.argmax(1), expected.argmax(1))
    assert np.abs(found - expected).mean() < np.ptp(expected) / 100


@pytest.mark.parametrize("name", ["depthwise", "plain", "mean_head"])
def test_behind_many_layers_every_integer_is_that_of_the_engine(name: str) -> None:
    model = quantized(toy.NETS[name])
    net = GraphNet(model)
    with torch.no_grad():
        found = net(torch.from_numpy(np.concatenate(list(FRESH())))).numpy()
    session = Session(model, threads=1)
    expected = np.concatenate([session.run(image)[0] for image in FRESH()])
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.ptp(expected))


def test_training_changes_weights_and_biases_and_nothing_else() -> None:
    model = quantized(toy.depthwise)
    source = fold(read_model(toy.depthwise()))
    scores = iter(range(10))
    tuned = finetune(
        source,
        model,
        IMAGES(),
        lambda _: float(next(scores)),  # every epoch is better than the one before
        tuning=Tuning(epochs=2, rate=0.2, batch=8),
    )
    assert tuned.epoch == 2
    assert list(tuned.model.graph.node) == list(model.graph.node)
    before, after = integers(model), integers(tuned.model)
    changed = {name for name in before if before[name] != after[name]}
    assert changed
    assert not any("zero_point" in name or "scale" in name for name in changed)
    constants = wiring(tuned.model)
    for name in changed:
        value = constants.constant(name)
        assert value is not None
        assert value.dtype != np.int8 or np.abs(value.astype(int)).max() <= 127


def test_it_wins_back_what_rough_rounding_lost() -> None:
    source = fold(read_model(toy.depthwise()))
    model = quantize_model(toy.depthwise(), IMAGES, effort="fast", method="minmax").model
    edges = wiring(model)
    rough = ModelProto()
    rough.CopyFrom(model)
    for tensor in rough.graph.initializer:
        value = edges.constant(tensor.name)
        if value is not None and value.dtype == np.int8 and value.ndim > 1:
            tensor.raw_data = ((value.astype(np.int16) // 12 * 12).astype(np.int8)).tobytes()
    judge = Judge(source, FRESH(), threads=1)
    tuned = finetune(
        source,
        rough,
        toy.images(96, seed=3)(),
        lambda each: judge.check(each).sqnr_db,
        tuning=Tuning(epochs=6, rate=0.3, batch=8, mirror=False),
    )
    assert tuned.gained_db > 1
    found = judge.check(tuned.model).sqnr_db - judge.check(rough).sqnr_db
    assert found == pytest.approx(tuned.gained_db)


def test_what_does_not_help_is_not_kept() -> None:
    model = quantized(toy.plain)
    source = fold(read_model(toy.plain()))
    scores = iter([5.0, 4.0, 3.0])
    tuned = finetune(source, model, IMAGES(), lambda _: next(scores), tuning=Tuning(epochs=2))
    assert tuned.epoch == 0
    assert tuned.model is model
    assert tuned.gained_db == 0


def test_a_killed_run_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    model, source = quantized(toy.plain), fold(read_model(toy.plain()))
    judge = Judge(source, FRESH(), threads=1)
    judged: list[bytes] = []

    def sqnr_db(each: ModelProto) -> float:
        judged.append(each.SerializeToString())
        return judge.check(each).sqnr_db

    def dies(done: int, _: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    whole = Tuning(epochs=4, rate=0.1, batch=8, mirror=False)
    first = finetune(source, model, IMAGES(), sqnr_db, tuning=whole)
    kept = replace(whole, unfinished=tmp_path / "run.state")
    with pytest.raises(KeyboardInterrupt):
        finetune(source, model, IMAGES(), sqnr_db, tuning=kept, progress=dies)
    again = finetune(source, model, IMAGES(), sqnr_db, tuning=kept)
    assert judged[5:8] == judged[:3]
    assert judged[9:] == judged[3:5]  # what it came as, and the last two epochs
    assert (again.epoch, again.gained_db) == (first.epoch, first.gained_db)
    assert again.model.SerializeToString() == first.model.SerializeToString()


def test_a_slice_may_stride_over_several_axes() -> None:
    maps = np.arange(48, dtype=np.float32).reshape(1, 3, 4, 4)
    node = Node("Slice", ("maps", "starts", "ends", "axes", "steps"), ("picked",), {})
    bounds = [[0, 3], [2**63 - 1, 0], [2, -1], [2, -2]]
    (picked,) = OPS["Slice"](node, [torch.from_numpy(maps), *map(torch.tensor, bounds)])
    assert np.array_equal(picked.numpy(), maps[:, :, ::2, 3:0:-2])


def test_an_operator_that_is_not_known_is_named() -> None:
    model = fold(read_model(toy.plain()))
    model.graph.node[1].op_type = "Mish"
    with pytest.raises(GraphError, match="Mish cannot be trained through"):
        GraphNet(model)
