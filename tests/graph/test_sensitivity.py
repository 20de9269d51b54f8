"""Each layer's own error is found where it is made, and named by its cause."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from onnx import ModelProto, numpy_helper

from edgecnn.errors import GraphError
from edgecnn.graph.causes import explain
from edgecnn.graph.channels import channel_factors
from edgecnn.graph.fold import fold
from edgecnn.graph.normal import read_model
from edgecnn.graph.plan import make_plan
from edgecnn.graph.probe import cut, find_probes, made_name, rounded_layers
from edgecnn.graph.sensitivity import TOGETHER, LayerError, Pair, sensitivity
from edgecnn.graph.session import Session
from edgecnn.graph.shift import SHIFTED
from edgecnn.graph.tally import Spread, Sums, parse_sums
from edgecnn.graph.targets import find_target
from edgecnn.graph.wiring import put_constant
from tests import toy
from tests.graph.culprits import chain, coarse_layer, loud_channel
from tests.graph.test_qdq import quantized

IMAGES = toy.images(16)


def errors_of(model: ModelProto, *, keep_float: tuple[str, ...] = ()) -> dict[str, LayerError]:
    folded = fold(read_model(model))
    found = sensitivity(folded, quantized(model, keep_float=keep_float), toy.images(8, seed=4)())
    return {error.name: error for error in found}


@pytest.mark.parametrize("name", sorted(toy.NETS))
def test_every_layer_has_its_own_error_and_they_pile_up(name: str) -> None:
    model = toy.NETS[name]()
    folded = fold(read_model(model))
    plan = make_plan(folded, find_target("onnxruntime-x86"))
    found = errors_of(model)
    assert {layer.name for layer in plan.layers} <= set(found)
    for layer in plan.layers:
        assert 25 < found[layer.name].here_db < 80
    last = list(found.values())[-1]
    assert last.accumulated_db < last.here_db


def test_what_groups_of_images_say_adds_up_to_the_whole_to_the_last_bit() -> None:
    pair = Pair(fold(read_model(toy.depthwise())), quantized(toy.depthwise()))
    images = list(toy.images(TOGETHER + 3, seed=4)())
    parts = [pair.sums(images[:TOGETHER]), pair.sums(images[TOGETHER:])]
    first, second = (
        {name: parse_sums(json.loads(json.dumps(each.document()))) for name, each in part.items()}
        for part in parts
    )
    together = {name: first[name].plus(second[name]) for name in pair.tensors}
    assert pair.errors(together) == pair.errors(pair.sums(images))


@pytest.mark.parametrize(
    "wrong",
    [{"count": -1}, {"values": [1.0]}, {"noises": [[1.0, 2.0]] * 4}, {"peaks": [1.0, math.nan]},
     {"squares": "many"}, {"rank": None}, {"values": [[1.0, 2.0]]}],
)  # fmt: skip
def test_sums_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    said = Sums(4, 9, 1, np.ones(2), np.ones(2), np.ones(2), np.ones((5, 2))).document()
    assert parse_sums(said).count == 9
    with pytest.raises((ValueError, TypeError)):
        parse_sums(said | wrong)


def test_float_stretches_add_nothing() -> None:
    found = errors_of(toy.plain(), keep_float=("conv_0", "conv_3", "conv_5"))
    assert found["gemm_9"].weight > 0
    assert "conv_3" in {layer for error in found.values() for layer in error.layers}
    assert all(error.weight == 0 for name, error in found.items() if name.startswith("conv"))


def test_a_cut_graph_makes_float_values_of_quantized_ones() -> None:
    model = fold(read_model(toy.residual()))
    probes = find_probes(model, quantized(toy.residual()))
    part = cut(model, probes)
    reference = Session(model, [probe.tensor for probe in probes if probe.tensor != "image"])
    image = next(IMAGES())
    values = dict(zip(reference.names, reference.run(image), strict=True)) | {"image": image}
    session = Session(part)
    given = {item.name: values[item.name] for item in part.graph.input}
    made = dict(zip(session.names, session.feed(given), strict=True))
    for name in reference.names:
        np.testing.assert_allclose(made[made_name(name)], values[name], rtol=1e-4, atol=1e-5)


def test_a_loud_channel_is_found_although_it_drowns_its_error() -> None:
    model, culprit = loud_channel()
    found = errors_of(model)
    worst = min(found.values(), key=lambda error: error.here_db)
    assert worst.name == culprit
    assert worst.activation > 100 * worst.weight
    assert worst.here_db < min(e.here_db for e in found.values() if e is not worst) - 20
    cause = explain(worst)
    assert cause.text.startswith("channel 5 has 203x the median channel's output range")
    assert cause.remedy == "float"


def test_coarse_weights_are_found() -> None:
    model, culprit = coarse_layer()
    found = errors_of(model)
    worst = min(found.values(), key=lambda error: error.here_db)
    assert worst.name == culprit
    assert worst.weight > 10 * worst.activation
    assert explain(worst).remedy == "repair"
    others = [error.here_db for name, error in found.items() if name != culprit]
    assert worst.here_db < min(others) - 10


@pytest.mark.parametrize("in_float", [False, True], ids=["on integers", "in float"])
def test_scaled_channels_are_no_error(in_float: bool) -> None:
    """What cross-layer equalization does to a network between two layers."""
    model = fold(read_model(chain()))
    scaled = ModelProto()
    scaled.CopyFrom(model)
    factors = np.linspace(0.6, 2, 12).astype(np.float32)
    weights = {item.name: numpy_helper.to_array(item) for item in scaled.graph.initializer}
    first, depthwise, last = [n for n in scaled.graph.node if n.op_type == "Conv"]
    column = factors[:, None, None, None]
    put_constant(scaled, first.input[1], weights[first.input[1]] * column)
    put_constant(scaled, first.input[2], weights[first.input[2]] * factors)
    put_constant(scaled, depthwise.input[1], weights[depthwise.input[1]] / column * column[::-1])
    put_constant(scaled, depthwise.input[2], weights[depthwise.input[2]] * factors[::-1])
    put_constant(scaled, last.input[1], weights[last.input[1]] / factors[::-1][:, None, None])
    kept = (first.name,) if in_float else ()
    plain, found = (
        {
            error.name: error
            for error in sensitivity(model, quantized(net, keep_float=kept), IMAGES())
        }
        for net in (model, scaled)
    )
    assert set(plain) == set(found)
    for name, error in found.items():
        assert error.here_db > 24
        assert error.accumulated_db > plain[name].accumulated_db - 10


def test_a_channel_that_was_rounded_away_is_not_taken_for_a_scaled_one() -> None:
    model, culprit = coarse_layer()
    folded = fold(read_model(model))
    assert channel_factors(folded, rounded_layers(folded, quantized(model))) == {}
    assert errors_of(model)[culprit].here_db < 5


def test_clipping_is_counted() -> None:
    model = toy.plain()
    folded = fold(read_model(model))
    int8 = quantized(model)
    scale = next(item for item in int8.graph.initializer if item.name.endswith("relu_1_scale"))
    scale.CopyFrom(
        numpy_helper.from_array(numpy_helper.to_array(scale) * np.float32(0.3), scale.name)
    )
    found = {error.name: error for error in sensitivity(folded, int8, IMAGES())}
    clipped = found["conv_0"]
    assert 0.001 < clipped.clipped_share < 0.5
    assert clipped.clipping > 0.5 * clipped.activation
    assert "% of its outputs are clipped" in explain(clipped).text


def test_graphs_that_do_not_belong_together_are_refused() -> None:
    folded = fold(read_model(toy.plain()))
    with pytest.raises(GraphError, match="not quantized"):
        sensitivity(folded, toy.plain(), IMAGES())
    foreign = quantized(toy.plain())
    for node in foreign.graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                names[index] = name if name in ("image", "logits") else f"other_{name}"
    for item in foreign.graph.initializer:
        item.name = f"other_{item.name}"
    with pytest.raises(GraphError, match="no quantized tensor has the name"):
        sensitivity(folded, foreign, IMAGES())


CALM = LayerError(
    name="conv", tensor="y", ops=("Conv",), layers=("conv",), weight=1e-3, activation=1e-4,
    clipping=0.0, here=1.1e-3, accumulated=2e-3, clipped_share=0.0, weight_scales=8,
    weights=Spread(3, 40.0), outputs=Spread(1, 2.0), peak=4.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words", "remedy"),
    [
        ({}, "rounding its weights", "repair"),
        ({"weight_scales": 1}, "channel 3 has 40x the median channel's weight range",
         "per-channel"),
        ({"activation": 1e-2, "outputs": Spread(17, 40.0), "ops": ("Clip", "Conv")},
         "its Clip stops equalization", "float"),
        ({"activation": 1e-2, "clipping": 9e-3, "clipped_share": 0.021},
         "2.1 % of its outputs are clipped", "range"),
        ({"activation": 1e-2, "clipping": 9e-3, "clipped_share": 1e-5},
         "under 0.1 % of its outputs", "range"),
        ({"activation": 1e-2, "peak": 90.0}, "90x the usual size", "range"),
        ({"activation": 1e-2}, "rounding its outputs to 255 steps", "float"),
        ({"activation": 1e-2, "ops": ()}, "rounding the image", "float"),
        ({"here": 1e-6}, "adds next to nothing: its error comes from the layers before", "none"),
        ({"here": 1e-6, "accumulated": 1e-6}, "adds next to nothing", "none"),
    ],
)  # fmt: skip
def test_causes_are_told_in_plain_words(
    changes: dict[str, object], words: str, remedy: str
) -> None:
    cause = explain(dataclasses.replace(CALM, **changes))  # type: ignore[arg-type]
    assert words in cause.text
    assert cause.remedy == remedy
    assert len(cause.text) <= 100


def test_a_tensor_that_is_stored_less_a_constant_is_read_with_it() -> None:
    net = toy.Net(seed=9)
    wide = net.relu(net.conv("image", 16))  # shifted for TensorRT: an unpadded layer reads it
    model = net.model(net.head(net.relu(net.conv(wide, 16, 1))))
    int8 = quantized(model, target="tensorrt")
    assert any(node.doc_string == SHIFTED for node in int8.graph.node)
    errors = sensitivity(fold(read_model(model)), int8, toy.images(8, seed=4)())
    assert min(error.here_db for error in errors) > 20
    assert errors[-1].accumulated_db > 20
