"""Scaled channels: the same answers in float, less noise in integers, and bounds that hold."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto

from edgecnn.graph.equalize import equalize, find_links
from edgecnn.graph.fold import fold
from edgecnn.graph.normal import read_model
from edgecnn.graph.plan import Plan, make_plan
from edgecnn.graph.quantize import quantize_model
from edgecnn.graph.session import Session
from edgecnn.graph.targets import find_target
from tests import toy
from tests.graph.running import answers, sqnr_db

IMAGES = toy.images(24)
TARGET = find_target("tensorrt")


def planned(model: ModelProto) -> tuple[ModelProto, Plan]:
    folded = fold(read_model(model))
    return folded, make_plan(folded, TARGET)


def spread(channels: int) -> toy.Float:
    return np.asarray(2.0 ** -np.linspace(0, 6, channels), np.float32)


def uneven(net: toy.Net, maps: str) -> str:
    """Make the channels of the last convolution differ by up to 64 times."""
    weight, bias = net.nodes[-1].input[1:]
    net.weights[weight] *= spread(net._channels[maps]).reshape(-1, 1, 1, 1)
    net.weights[bias] *= spread(net._channels[maps])
    return maps


def even(net: toy.Net, maps: str, *parts: int) -> str:
    """Let the last convolution give small channels the larger weights."""
    factors = np.concatenate([spread(part) for part in parts])
    weight = net.weights[net.nodes[-1].input[1]]
    weight /= factors.reshape(*((-1, 1) if weight.shape[1] == 1 else (1, -1)), 1, 1)
    return maps


def joined_and_pooled() -> ModelProto:
    net = toy.Net(seed=7)
    maps = net.relu(net.conv("image", 8))
    left = net.relu(uneven(net, net.conv(maps, 8, 1)))
    right = net.relu(uneven(net, net.conv(maps, 12)))
    joined = net.node("Concat", left, right, axis=1)
    pooled = net.node("MaxPool", joined, kernel_shape=[2, 2], strides=[2, 2])
    net._channels[pooled] = 20
    return net.model(net.head(net.relu(even(net, net.conv(pooled, 16, 1), 8, 12))))


def through_depthwise() -> ModelProto:
    net = toy.Net(seed=8)
    maps = net.relu6(uneven(net, net.conv("image", 16)))
    maps = net.relu6(even(net, net.depthwise(maps), 16))
    return net.model(net.head(net.relu(net.conv(maps, 16, 1))))


UNEVEN = {"joined_and_pooled": joined_and_pooled, "through_depthwise": through_depthwise}


@pytest.mark.parametrize("name", sorted(toy.NETS))
def test_float_answers_stay(name: str) -> None:
    folded, plan = planned(toy.NETS[name]())
    before = answers(folded, IMAGES)
    scaled = equalize(folded, plan, TARGET, IMAGES())
    if scaled is not None:
        assert sqnr_db(before, answers(scaled, IMAGES)) > 80


@pytest.mark.parametrize("name", sorted(UNEVEN))
def test_uneven_channels_lose_less(name: str) -> None:
    model = UNEVEN[name]()
    folded, plan = planned(model)
    scaled = equalize(folded, plan, TARGET, IMAGES())
    assert scaled is not None
    assert sqnr_db(answers(folded, IMAGES), answers(scaled, IMAGES)) > 80
    plain = quantize_model(model, IMAGES, target="tensorrt", effort="fast")
    better = quantize_model(scaled, IMAGES, target="tensorrt", effort="fast")
    assert better.check.sqnr_db > plain.check.sqnr_db + 1


def test_no_channel_grows_past_the_bound_of_its_relu6() -> None:
    folded, plan = planned(through_depthwise())
    scaled = equalize(folded, plan, TARGET, IMAGES())
    assert scaled is not None
    between = find_links(folded, plan)[0].between
    session, before = Session(scaled, [between]), Session(folded, [between])
    for image in IMAGES():
        grown, was = (np.asarray(s.run(image)[0], np.float32) for s in (session, before))
        assert grown.max() <= 6
        assert np.all((was < 5.999) | np.isclose(grown, was))  # what reached the bound stays


def test_what_an_add_or_an_output_reads_is_left_alone() -> None:
    folded, plan = planned(toy.residual())
    readers = {node.input[0] for node in folded.graph.node if node.op_type != "Conv"}
    assert not readers.intersection(link.between for link in find_links(folded, plan))


def test_what_is_joined_with_itself_is_left_alone() -> None:
    net = toy.Net(seed=11)
    part = net.relu(uneven(net, net.conv("image", 8)))
    both = net.node("Concat", part, part, axis=1)
    net._channels[both] = 16
    assert not find_links(*planned(net.model(net.head(net.relu(net.conv(both, 8))))))
