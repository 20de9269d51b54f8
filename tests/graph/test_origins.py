"""The nodes of a file that an engine's layers came from."""

from __future__ import annotations

from edgecnn.graph.origins import origins
from tests import toy
from tests.graph.test_qdq import quantized


def names(model_names: list[list[str]], *, integer: bool = False) -> list[list[str]]:
    model = quantized(toy.residual()) if integer else toy.residual()
    return [[node.name for node in nodes] for nodes in origins(model, model_names)]


def test_a_name_is_a_nodes_or_a_tensors() -> None:
    model = toy.residual()
    conv, relu = model.graph.node[:2]
    assert names([[conv.name], ["image"], ["nowhere"], []]) == [[conv.name], [], [], []]
    assert names([[relu.output[0]]]) == [[conv.name, relu.name]]


def test_a_layer_stands_for_what_leads_to_it_up_to_other_layers() -> None:
    """The sum of a block: its convolution is the last one, the first is a layer of its own."""
    model = toy.residual()
    stem, _, first, relu, second, total = [node.name for node in model.graph.node[:6]]
    assert names([[total], [relu], [stem]]) == [[second, total], [first, relu], [stem]]
    assert names([[total], [second]]) == [[stem, total], [second]], "the stem had no other claim"


def test_scaling_is_named_only_where_it_stands_alone() -> None:
    model = quantized(toy.residual())
    scaling = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    assert names([[scaling.name], [conv.name, scaling.name]], integer=True) == [
        [scaling.name],
        [conv.name],
    ]
