"""How channels weigh in the answers."""

from __future__ import annotations

import numpy as np

from edgecnn.graph.fold import fold
from edgecnn.graph.importance import importances
from edgecnn.graph.normal import read_model
from tests import toy


def test_a_channel_weighs_what_its_readers_make_of_it() -> None:
    net = toy.Net()
    maps = net.relu(net.conv("image", 8))
    head = net.head(maps)
    net.weights[net.nodes[-1].input[1]][:, 3] *= 3
    found = importances(fold(read_model(net.model(head))))[maps]
    expected = np.square(net.weights[net.nodes[-1].input[1]]).sum(axis=0)
    np.testing.assert_allclose(found, expected / expected.mean(), rtol=1e-5)


def test_depthwise_layers_and_residuals_pass_it_on() -> None:
    net = toy.Net()
    maps = net.conv("image", 8)
    deep = net.depthwise(maps)
    net.weights[net.nodes[-1].input[1]][6] = 0.0
    joined = net.node("Add", maps, deep)
    found = importances(fold(read_model(net.model(net.head(joined)))))
    assert np.argmin(found[maps] / found[joined]) == 6
    assert found[maps][6] > 0, "it is still read without the depthwise layer"


def test_concatenated_channels_keep_their_places() -> None:
    model = fold(read_model(toy.concat()))
    found = importances(model)
    concat = next(node for node in model.graph.node if node.op_type == "Concat")
    halves = np.split(found[concat.output[0]], 2)
    for name, half in zip(concat.input, halves, strict=True):
        np.testing.assert_allclose(found[name], half / half.mean())


def test_every_tensor_of_a_network_has_one_and_none_is_negative() -> None:
    for make in toy.NETS.values():
        model = fold(read_model(make()))
        found = importances(model)
        assert found["image"].size == 3
        assert all((value >= 0).all() and np.isfinite(value).all() for value in found.values())
