"""Where a file looks: slopes that are measured are those that a gradient would give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgecnn.errors import GraphError
from edgecnn.graph.attention import Looker, likeness
from edgecnn.graph.fold import fold
from edgecnn.graph.normal import read_model
from edgecnn.graph.probe import rounded_layers
from edgecnn.graph.quantize import quantize_model
from edgecnn.graph.session import Session
from edgecnn.graph.wiring import wiring
from tests import toy

IMAGES = toy.images(20)


def saved(model: onnx.ModelProto, path: Path) -> Path:
    onnx.save(model, path)
    return path


def one() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return next(iter(toy.images(1, seed=5)()))


def test_behind_a_global_mean_the_heat_is_the_class_activation_map(tmp_path: Path) -> None:
    model = toy.mean_head()
    looker = Looker(saved(model, tmp_path / "float.onnx"), threads=1)
    edges = wiring(model)
    mean = next(node for node in model.graph.node if node.op_type == "ReduceMean")
    gemm = next(node for node in model.graph.node if node.op_type == "Gemm")
    logits, maps = Session(model, [model.graph.output[0].name, mean.input[0]], threads=1).run(one())
    chosen = int(np.asarray(logits).argmax())
    weight = edges.value(gemm.input[1])
    rows = weight if weight.shape[1] == maps.shape[1] else weight.T
    expected = np.maximum(np.tensordot(rows[chosen], np.asarray(maps[0]), axes=1), 0)
    heat = looker.look(one()).heat
    np.testing.assert_allclose(heat, expected / (expected.max() or 1), atol=1e-2)


@pytest.mark.parametrize("name", sorted(toy.NETS))
def test_float_and_int8_look_at_the_same(name: str, tmp_path: Path) -> None:
    model = toy.NETS[name]()
    int8 = quantize_model(model, IMAGES, effort="fast", method="minmax").model
    files = saved(model, tmp_path / "float.onnx"), saved(int8, tmp_path / "int8.onnx")
    first, second = (Looker(path, threads=1) for path in files)
    seen = first.look(one())
    other = second.look(one(), int(seen.logits.argmax()))
    assert seen.heat.shape == other.heat.shape
    assert seen.heat.max() in (0.0, 1.0)
    assert likeness(seen.heat, other.heat) > 0.9


def test_of_an_int8_file_maps_and_weights_are_those_of_its_integers(tmp_path: Path) -> None:
    folded = fold(read_model(toy.depthwise()))
    int8 = quantize_model(toy.depthwise(), IMAGES, effort="fast", method="minmax").model
    looker = Looker(saved(int8, tmp_path / "int8.onnx"), threads=1)
    mean = next(node for node in int8.graph.node if node.op_type == "GlobalAveragePool")
    (maps,) = Session(int8, [mean.input[0]], threads=1).run(one())
    weight = list(rounded_layers(folded, int8).values())[-1].weight
    seen = looker.look(one())
    rows = weight if weight.shape[1] == maps.shape[1] else weight.T
    chosen = rows[int(seen.logits.argmax())]
    expected = np.maximum(np.tensordot(chosen, np.asarray(maps[0]), axes=1), 0)
    assert expected.max() > 0
    # Means at the end of their range have half a slope.
    np.testing.assert_allclose(seen.heat, expected / expected.max(), atol=5e-2)


def test_another_class_is_seen_elsewhere(tmp_path: Path) -> None:
    looker = Looker(saved(toy.plain(), tmp_path / "float.onnx"), threads=1)
    logits = looker.look(one()).logits
    best, least = int(logits.argmax()), int(logits.argmin())
    assert not np.array_equal(looker.look(one(), best).heat, looker.look(one(), least).heat)


def test_a_graph_without_maps_is_refused(tmp_path: Path) -> None:
    net = toy.Net(seed=0)
    rows = net.node("Flatten", "image")
    model = net.model(net.gemm(rows, 3 * 16 * 16))
    with pytest.raises(GraphError, match="no maps"):
        Looker(saved(model, tmp_path / "flat.onnx"))


def test_likeness_is_a_correlation() -> None:
    heat = np.array([[0, 1], [0.5, 0]], np.float32)
    assert likeness(heat, heat) == pytest.approx(1)
    assert likeness(heat, 1 - heat) == pytest.approx(-1)
    flat = np.zeros((2, 2), np.float32)
    assert likeness(flat, flat) == 1
    assert likeness(heat, flat) == 0
