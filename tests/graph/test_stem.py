"""The first layer stays in float where that is faster, and nothing else does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from onnx import ModelProto

from edgecnn.graph.equalize import equalize, find_links
from edgecnn.graph.fold import fold
from edgecnn.graph.normal import read_model
from edgecnn.graph.plan import Plan, make_plan
from edgecnn.graph.quantize import quantize_model
from edgecnn.graph.stem import left_in_float
from edgecnn.graph.targets import TARGETS, find_target
from tests import toy
from tests.graph.running import answers, sqnr_db

X86 = find_target("onnxruntime-x86")
IMAGES = toy.images(24)


def with_stem(*, outputs: int = 16, stride: int = 2, pooled: bool = False) -> ModelProto:
    """A small MobileNetV1: a stem that halves the image, a depthwise layer, a pointwise one."""
    net = toy.Net(seed=3)
    maps = net.relu6(net.conv("image", outputs, strides=[stride, stride]))
    if pooled:
        maps = net.node("MaxPool", maps, kernel_shape=[2, 2], strides=[2, 2])
    maps = net.relu6(net.depthwise(maps))
    return net.model(net.head(net.relu6(net.conv(maps, 24, 1))))


def planned(model: ModelProto, target: str = "onnxruntime-x86") -> tuple[ModelProto, Plan]:
    folded = fold(read_model(model))
    return folded, make_plan(folded, find_target(target))


def test_a_narrow_stem_stays_in_float() -> None:
    folded, plan = planned(with_stem())
    assert plan.float_layers(folded) == (folded.graph.node[0].name,)
    assert "image" not in plan.tensors
    made = quantize_model(with_stem(), IMAGES, target=X86.name, effort="fast")
    first = next(node for node in made.model.graph.node if node.op_type == "Conv")
    assert first.input[0] == "image"
    assert left_in_float(made.model, X86) == first.name


@pytest.mark.parametrize(
    "model",
    [with_stem(stride=1), with_stem(outputs=40), with_stem(pooled=True)],
    ids=["keeps the image's size", "is wide", "is pooled"],
)
def test_every_other_first_layer_runs_on_integers(model: ModelProto) -> None:
    folded, plan = planned(model)
    assert plan.float_layers(folded) == ()
    assert left_in_float(folded, replace(X86, float_stem=False)) is None


@pytest.mark.parametrize("target", sorted(set(TARGETS) - {"onnxruntime-x86"}))
def test_for_every_other_target_it_runs_on_integers(target: str) -> None:
    folded, plan = planned(with_stem(), target)
    assert plan.float_layers(folded) == ()


def test_an_image_that_somebody_else_reads_is_quantized() -> None:
    net = toy.Net(seed=3)
    both = [net.relu(net.conv("image", 8, strides=[2, 2])) for _ in range(2)]
    maps = net.node("Add", *both)
    folded, plan = planned(net.model(net.head(net.relu(net.conv(maps, 16)))))
    assert plan.float_layers(folded) == ()


def test_a_network_of_nothing_but_a_stem_is_quantized() -> None:
    net = toy.Net(seed=4)
    pooled = net.node("GlobalAveragePool", net.relu(net.conv("image", 10, strides=[2, 2])))
    folded, plan = planned(net.model(net.node("Flatten", pooled)))
    assert [layer.name for layer in plan.layers] == [folded.graph.node[0].name]


def test_its_channels_are_scaled_for_the_layer_that_rounds_them() -> None:
    net = toy.Net(seed=5)
    maps = net.conv("image", 16, strides=[2, 2])
    weight, bias = net.nodes[-1].input[1:]
    spread = np.asarray(2.0 ** -np.linspace(0, 6, 16), np.float32)
    net.weights[weight] *= spread.reshape(-1, 1, 1, 1)
    net.weights[bias] *= spread
    maps = net.relu6(net.depthwise(net.relu6(maps)))
    model = net.model(net.head(net.relu(net.conv(maps, 16, 1))))
    folded, plan = planned(model)
    assert plan.stem is not None
    assert find_links(folded, plan)[0].firsts == (plan.stem,)
    assert find_links(folded, plan)[0].bound == 6
    scaled = equalize(folded, plan, X86, IMAGES())
    assert scaled is not None
    assert sqnr_db(answers(folded, IMAGES), answers(scaled, IMAGES)) > 80
    plain = quantize_model(model, IMAGES, target=X86.name, effort="fast")
    better = quantize_model(scaled, IMAGES, target=X86.name, effort="fast")
    assert better.check.sqnr_db > plain.check.sqnr_db + 1
