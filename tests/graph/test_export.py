"""From a PyTorch network to a graph that gives the same answers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto
from torch import nn

from edgecnn.errors import GraphError, ParityError
from edgecnn.graph.export import export_checked
from edgecnn.graph.model_io import opset_of
from edgecnn.graph.parity import answers, check_parity, compare_outputs
from edgecnn.graph.torch_export import Exporter, export_module, torch_answers
from tests.graph.torch_nets import (
    SHAPE,
    Branch,
    Halves,
    LargestOfMap,
    Layers,
    Noisy,
    OneRow,
    Pair,
    Pooled,
    SingularValues,
    images,
    residual,
)


def sizes(model: ModelProto, batch: int) -> tuple[int, ...]:
    """The shape of the answer to a batch."""
    (output,) = next(answers(model, [np.concatenate(images(batch))]))
    return output.shape


@pytest.fixture(scope="module")
def exported() -> ModelProto:
    return export_module(residual(), input_shape=SHAPE)


# What the graph looks like


def test_nodes_are_named_after_their_modules(exported: ModelProto) -> None:
    assert [node.name for node in exported.graph.node] == [
        "/stem/0/Conv",
        "/stem/2/Clip",
        "/block/0/Conv",
        "/block/2/Clip",
        "/block/3/Conv",
        "/Add",
        "/GlobalAveragePool",
        "/Flatten",
        "/classifier/Gemm",
    ]
    assert exported.graph.node[0].output[0] == "/stem/0/Conv_output_0"


def test_weights_keep_the_names_of_the_state_dict(exported: ModelProto) -> None:
    names = [item.name for item in exported.graph.initializer]
    assert sorted(names) == [
        "block.0.bias", "block.0.weight", "block.3.bias", "block.3.weight", "classifier.bias",
        "classifier.weight", "max", "min", "stem.0.bias", "stem.0.weight",
    ]  # fmt: skip
    weight = next(item for item in exported.graph.initializer if item.name == "classifier.weight")
    expected = residual().state_dict()["classifier.weight"].numpy()
    assert np.array_equal(onnx.numpy_helper.to_array(weight), expected)


def test_means_and_pools_are_written_in_the_words_that_engines_know() -> None:
    model = export_module(Pooled(), input_shape=SHAPE)
    assert [node.op_type for node in model.graph.node] == ["Conv", "GlobalAveragePool", "Flatten"]
    assert model.graph.node[-1].output[0] == "logits"


def test_one_input_and_one_output_with_fixed_names_and_shapes(exported: ModelProto) -> None:
    shapes = {
        info.name: tuple(dim.dim_value for dim in info.type.tensor_type.shape.dim)
        for info in (*exported.graph.input, *exported.graph.output)
    }
    assert shapes == {"input": (1, 3, 16, 16), "logits": (1, 5)}


def test_it_is_valid_and_written_for_old_readers(exported: ModelProto) -> None:
    onnx.checker.check_model(exported, full_check=True)
    assert opset_of(exported) == 17
    assert exported.ir_version == 8  # what opset 17 came with
    assert [item.domain for item in exported.opset_import] == [""]


def test_nothing_of_the_exporting_machine_is_in_it(exported: ModelProto) -> None:
    data = exported.SerializeToString()
    assert b".py" not in data
    assert b"torch.nn" not in data
    assert not exported.metadata_props
    assert not exported.graph.value_info
    assert len(data) < 6000


@pytest.mark.slow
def test_the_same_bytes_in_another_process(exported: ModelProto) -> None:
    code = (
        "import hashlib; from edgecnn.graph.torch_export import export_module\n"
        "from tests.graph.torch_nets import residual\n"
        f"model = export_module(residual(), input_shape={SHAPE})\n"
        "print(hashlib.sha256(model.SerializeToString()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, env={"PYTHONHASHSEED": s}
        ).stdout
        for s in ("1", "2")
    }
    assert len(digests) == 1


def test_it_says_nothing(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    export_module(LargestOfMap(), input_shape=SHAPE)
    export_module(LargestOfMap(), input_shape=SHAPE, exporter="torchscript")
    with pytest.raises(GraphError):
        export_module(SingularValues(), input_shape=SHAPE, exporter="torchscript")
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelname != "DEBUG"]


# The answers


def test_the_graph_answers_as_pytorch_does(exported: ModelProto) -> None:
    batches = images(8)
    parity = compare_outputs(torch_answers(residual(), batches), exported, batches)
    check_parity(parity, what="residual")
    assert parity.top1_equal == 8


def test_a_network_in_training_mode_is_exported_as_it_evaluates(exported: ModelProto) -> None:
    network = residual().train()
    network.dropout.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    model = export_module(network, input_shape=SHAPE)
    assert model.SerializeToString() == exported.SerializeToString()
    assert network.training
    assert network.stem.training
    assert not network.dropout.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_wrong_graph_does_not_pass(exported: ModelProto) -> None:
    broken = ModelProto()
    broken.CopyFrom(exported)
    bias = next(item for item in broken.graph.initializer if item.name == "block.0.bias")
    values = onnx.numpy_helper.to_array(bias).copy()
    values[0] += 0.1
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
    batches = images(8)
    with pytest.raises(ParityError):
        check_parity(
            compare_outputs(torch_answers(residual(), batches), broken, batches), what="residual"
        )


def test_statistics_of_the_batch_instead_of_the_training_set_do_not_pass(
    exported: ModelProto,
) -> None:
    batches = images(4)
    network = residual()
    with torch.no_grad():
        training = [(network(torch.from_numpy(batch)).numpy(),) for batch in batches]
    with pytest.raises(ParityError):
        check_parity(compare_outputs(training, exported, batches), what="residual")


# The batch


def test_a_fixed_batch() -> None:
    model = export_module(LargestOfMap(), input_shape=SHAPE, batch=4)
    assert sizes(model, 4) == (4, 3)
    with pytest.raises(GraphError, match="does not run"):
        sizes(model, 2)


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
def test_an_open_batch(exporter: Exporter) -> None:
    model = export_module(LargestOfMap(), input_shape=SHAPE, batch="dynamic", exporter=exporter)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert [sizes(model, count) for count in (1, 2, 7)] == [(1, 3), (2, 3), (7, 3)]


def test_what_mixes_the_images_of_a_batch_has_no_open_batch() -> None:
    with pytest.raises(GraphError, match=r"the shape of its output is open: \(1, 768\*batch\)"):
        export_module(OneRow(), input_shape=SHAPE, batch="dynamic")


# The whole step


def test_exported_simplified_and_checked(exported: ModelProto) -> None:
    checked = export_checked(residual(), input_shape=SHAPE, batch="dynamic", images=images(10))
    assert (checked.exporter, checked.opset) == ("dynamo", 17)
    assert checked.parity.n == checked.parity.top1_equal == 10
    assert checked.parity.rel < 1e-6
    assert checked.nodes_after <= checked.nodes_before
    assert checked.notes == ()
    names = [node.name for node in exported.graph.node]
    assert [node.name for node in checked.model.graph.node] == names


def test_the_older_exporter_helps_out_and_the_result_says_why() -> None:
    network = Layers(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.RReLU())
    exported = export_checked(network, input_shape=SHAPE, images=images(4))
    assert exported.exporter == "torchscript"
    (note,) = exported.notes
    assert note.startswith(
        "written by PyTorch's older TorchScript exporter, since the newer failed"
    )
    assert "rrelu" in note
    assert "\n" not in note
    nodes = {node.name: node for node in exported.model.graph.node}
    assert list(nodes["/layers/0/Conv"].input)[1:] == ["layers.0.weight", "layers.0.bias"]


# What cannot be exported


def refused(network: nn.Module) -> Iterator[str]:
    with pytest.raises(GraphError) as refusal:
        export_checked(network, input_shape=SHAPE, images=images(2))
    yield str(refusal.value)
    yield refusal.value.hint


def test_a_network_with_two_answers_has_both_compared() -> None:
    exported = export_checked(
        Halves(), input_shape=SHAPE, batch="dynamic", images=images(4), outputs=("logits", "boxes")
    )
    assert [info.name for info in exported.model.graph.output] == ["logits", "boxes"]
    assert exported.parity.n == 4
    (expected,) = torch_answers(Halves(), images(1), count=2)
    (answered,) = answers(exported.model, images(1))
    for wanted, given in zip(expected, answered, strict=True):
        assert np.abs(given.astype(np.float32) - wanted).max() < 1e-6


def test_three_answers_where_two_are_named() -> None:
    with pytest.raises(GraphError, match="Pair returns a tuple, not 3 tensors"):
        export_checked(Pair(), input_shape=SHAPE, images=images(2), outputs=("a", "b", "c"))


def test_two_answers() -> None:
    cause, hint = refused(Pair())
    assert cause == "Pair returns a tuple, not one tensor"
    assert "wrap it" in hint


def test_another_size_than_the_network_is_built_for() -> None:
    cause, _ = refused(Layers(nn.Flatten(), nn.Linear(10, 2)))
    assert cause == (
        "Layers does not run on an input of (1, 3, 16, 16): "
        "mat1 and mat2 shapes cannot be multiplied (1x768 and 10x2)"
    )


def test_a_path_chosen_by_the_image() -> None:
    cause, hint = refused(Branch())
    assert cause.startswith("Branch: forward() (torch_nets.py:")
    assert cause.endswith(") decides by the values of a tensor")
    assert "a graph has one path" in hint


def test_the_older_exporter_would_follow_one_path_in_silence() -> None:
    with pytest.raises(GraphError, match="decides by the values of a tensor"):
        export_module(Branch(), input_shape=SHAPE, exporter="torchscript")


def test_an_operation_that_onnx_has_no_word_for() -> None:
    cause, _ = refused(SingularValues())
    assert cause.startswith("SingularValues cannot be written as a graph: No ONNX function found")
    assert "linalg_svd" in cause
    assert "\n" not in cause


@pytest.mark.slow
def test_randomness() -> None:
    with pytest.raises(ParityError, match=r"Noisy: outputs differ by .* top-1 equal on \d of 4"):
        export_checked(Noisy(), input_shape=SHAPE, images=images(4))


def test_weights_that_are_not_numbers() -> None:
    network = residual()
    nn.init.constant_(network.classifier.bias, float("nan"))
    with pytest.raises(ParityError, match="the reference's outputs hold NaN or infinity"):
        export_checked(network, input_shape=SHAPE, images=images(2))
