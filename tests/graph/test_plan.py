"""Which parts of a network run on integers."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto

from edgecnn.errors import GraphError, UsageError
from edgecnn.graph.fold import fold
from edgecnn.graph.normal import read_model
from edgecnn.graph.plan import Plan, make_plan
from edgecnn.graph.targets import TARGETS, find_target
from tests import toy

X86 = find_target("onnxruntime-x86")


def planned(model: ModelProto, **options: tuple[str, ...]) -> tuple[ModelProto, Plan]:
    folded = fold(read_model(model))
    return folded, make_plan(folded, X86, **options)


def floats(model: ModelProto, plan: Plan) -> list[str]:
    return [
        node.op_type
        for node in model.graph.node
        if node.name not in plan.integer_nodes and node.name not in plan.dropped
    ]


@pytest.mark.parametrize("name", ["plain", "residual", "depthwise", "concat", "mean_head"])
def test_ordinary_networks_run_on_integers_from_end_to_end(name: str) -> None:
    assert floats(*planned(toy.NETS[name]())) == []


def test_a_layer_absorbs_its_activation_and_knows_its_bound() -> None:
    _, plan = planned(toy.depthwise())
    assert {bound for _, bound in plan.limits.values()} == {6.0}
    assert set(plan.limits) <= set(plan.tensors)
    assert len(plan.dropped) == len(plan.absorbed) == 5


def test_values_that_only_move_share_one_range() -> None:
    _, plan = planned(toy.plain())
    pooled = next(name for name in plan.tensors if name.startswith("maxpool"))
    assert plan.shared[pooled].startswith("relu")
    assert pooled not in plan.watched


def test_logits_stay_float_after_a_gemm() -> None:
    _, plan = planned(toy.plain())
    assert "logits" not in plan.tensors


def test_logits_of_a_convolution_are_quantized_since_it_needs_that() -> None:
    net = toy.Net()
    maps = net.conv(net.node("GlobalAveragePool", net.relu(net.conv("image", 8))), 10, 1)
    folded, plan = planned(net.model(net.node("Flatten", maps)))
    assert plan.layers[-1].output in plan.tensors
    assert floats(folded, plan) == ["Flatten"]


def test_answers_are_what_no_layer_reads() -> None:
    assert planned(toy.plain())[1].answers == frozenset()
    net = toy.Net()
    maps = net.relu(net.conv(net.relu(net.conv("image", 8)), 10, 1))
    _, plan = planned(net.model(net.node("Flatten", net.node("GlobalAveragePool", maps))))
    assert plan.answers == {maps, plan.tensors[-1]}


def test_what_the_engine_has_no_integers_for_stays_float() -> None:
    folded, plan = planned(toy.excited())
    assert "HardSwish" in floats(folded, plan)
    assert [layer.op_type for layer in plan.layers] == ["Conv"] * 4 + ["Gemm"]


def test_a_clip_that_does_not_start_at_zero_stays_a_node() -> None:
    net = toy.Net()
    clipped = net.node("Clip", net.conv("image", 8), net.constant(-1.0), net.constant(1.0))
    folded, plan = planned(net.model(net.head(net.conv(clipped, 8))))
    assert floats(folded, plan) == ["Clip"]


def test_a_relu_with_another_reader_of_its_input_stays_a_node() -> None:
    net = toy.Net()
    maps = net.conv("image", 8)
    folded, plan = planned(net.model(net.head(net.node("Add", maps, net.relu(maps)))))
    assert floats(folded, plan) == ["Relu"]


def test_layers_are_kept_in_float_by_name() -> None:
    folded, plan = planned(toy.plain(), keep_float=("conv_3",))
    assert plan.float_layers(folded) == ("conv_3",)
    with pytest.raises(UsageError, match="conv_33") as raised:
        planned(toy.plain(), keep_float=("conv_33",))
    assert "'conv_3'" in raised.value.hint


def test_a_network_without_layers_is_refused() -> None:
    net = toy.Net()
    rows = net.node("Flatten", net.node("GlobalAveragePool", net.relu("image")))
    with pytest.raises(GraphError, match="no layer can be quantized"):
        planned(net.model(rows))


def test_weights_that_are_computed_are_left_alone() -> None:
    net = toy.Net()
    maps = net.relu(net.conv("image", 8))
    weight = net.node("Mul", net.constant(net.random(8, 8, 1, 1, fan_in=8)), maps)
    pooled = net.node("ReduceMean", weight, axes=[2, 3])
    model = net.model(net.head(net.node("Conv", maps, pooled)))
    folded, plan = planned(model)
    assert plan.float_layers(folded) == ("conv_4",)


def test_targets_are_found_by_name() -> None:
    assert find_target("onnxruntime-x86").largest_weight == 127
    assert find_target("onnxruntime-x86-avx2").largest_weight == 63
    assert all(find_target(name).name == name for name in TARGETS)
    with pytest.raises(UsageError, match="onnxruntime-x68") as raised:
        find_target("onnxruntime-x68")
    assert "onnxruntime-x86" in raised.value.hint


def test_nothing_is_planned_twice() -> None:
    _, plan = planned(toy.residual())
    assert len(set(plan.tensors)) == len(plan.tensors)
    assert np.all([layer.input in plan.tensors for layer in plan.layers])
