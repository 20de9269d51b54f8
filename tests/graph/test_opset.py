"""A graph is written in the words of the oldest opset that has them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto
from torch import nn

from edgecnn.errors import GraphError
from edgecnn.graph.export import export_checked
from edgecnn.graph.half import halve_model
from edgecnn.graph.model_io import opset_of
from edgecnn.graph.opset import lower_to_17
from edgecnn.graph.parity import answers
from edgecnn.graph.quantize import quantize_model
from edgecnn.graph.torch_export import export_module
from tests import toy
from tests.graph.running import answers as logits
from tests.graph.running import sqnr_db
from tests.graph.torch_nets import SHAPE, Folded, LargestOfMap, images, residual


def test_a_reduction_is_written_in_the_words_of_opset_17() -> None:
    old = export_module(LargestOfMap(), input_shape=SHAPE)
    new = export_module(LargestOfMap(), input_shape=SHAPE, opset=18)
    assert (opset_of(old), opset_of(new)) == (17, 18)
    assert [len(model.graph.node[0].input) for model in (old, new)] == [1, 2]
    (left,), (right,) = (next(answers(model, images(1))) for model in (old, new))
    assert np.array_equal(left, images(1)[0].max((2, 3)))
    assert np.array_equal(left, right)


class Parts(nn.Module):
    """The channels in `count` parts, the last one as what is left, added up."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.conv = nn.Conv2d(3, 8, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        parts = self.conv(maps).chunk(self.count, 1)
        return torch.cat([part.mean((1, 2, 3), keepdim=True) for part in parts], 1).flatten(1)


@pytest.mark.parametrize("count", [2, 3])
def test_parts_are_written_in_the_words_of_opset_17(count: int) -> None:
    exported = export_checked(Parts(count), input_shape=SHAPE, images=images(2))
    assert (exported.exporter, opset_of(exported.model)) == ("dynamo", 17)
    assert "Split" in {node.op_type for node in exported.model.graph.node}


def test_unequal_parts_without_their_sizes_need_opset_18() -> None:
    def split(*sizes: int) -> ModelProto:
        names = [f"part{index}" for index in range(len(sizes))]
        node = onnx.helper.make_node("Split", ["maps"], names, axis=1, num_outputs=len(sizes))
        maps, *parts = (
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (1, size))
            for name, size in zip(("maps", *names), (8, *sizes), strict=True)
        )
        graph = onnx.helper.make_graph([node], "split", [maps], parts)
        opset = onnx.helper.make_opsetid("", 18)
        return onnx.helper.make_model(graph, opset_imports=[opset])

    even = split(2, 2, 2, 2)
    lower_to_17(even)
    assert opset_of(even) == 17
    with pytest.raises(GraphError):
        lower_to_17(split(3, 3, 2))


def test_a_network_that_needs_opset_18_gets_it_and_says_so() -> None:
    exported = export_checked(Folded(), input_shape=SHAPE, images=images(2))
    assert exported.opset == opset_of(exported.model) == 18
    assert exported.notes == ("written with opset 18: the network needs more than 17",)


def test_older_opsets_are_refused() -> None:
    with pytest.raises(GraphError, match="opset 16 is too old"):
        export_module(residual(), input_shape=SHAPE, opset=16)


def newer(activation: str, *, opset: int) -> ModelProto:
    """A network in the words of a newer opset; what they state, 17 does by itself."""
    net = toy.Net(seed=6)
    maps = net.node(activation, net.conv("image", 16))
    maps = net.node("AveragePool", maps, kernel_shape=[2, 2], strides=[2, 2], dilations=[1, 1])
    halves = ["left", "right"]
    net.nodes.append(onnx.helper.make_node("Split", [maps], halves, axis=1, num_outputs=2))
    sizes = net.constant(np.array([1, 1, 2, 2], np.float32))
    wide = net.node("Resize", "left", "", sizes, mode="nearest", antialias=0)
    net._channels[wide] = 8
    return net.model(net.head(net.relu(net.conv(wide, 16))), opset=opset)


@pytest.mark.parametrize("opset", [19, 22])
def test_tensorrt_gets_opset_17_however_new_the_float_file_is(opset: int) -> None:
    """TensorRT 8.6 reads no newer one."""
    source = newer("HardSwish", opset=opset)
    made = quantize_model(source, toy.images(24), target="tensorrt", effort="fast")
    onnx.checker.check_model(made.model, full_check=True)
    assert made.opset == 17
    assert sqnr_db(logits(source), logits(made.model)) > 25
    assert opset_of(halve_model(source, toy.images(12)).model) == 17


@pytest.mark.parametrize("target", ["tensorrt", "onnxruntime-x86"])
def test_what_opset_17_has_no_word_for_stays_newer(target: str) -> None:
    source = newer("Gelu", opset=20)
    assert quantize_model(source, toy.images(24), target=target, effort="fast").opset == 20
