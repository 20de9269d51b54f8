"""The simplifier is a guest: what it does is checked, and when it fails nothing is lost."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgecnn.errors import ParityError
from edgecnn.graph import simplify_worker
from edgecnn.graph.light import check, lighten, put_graph
from edgecnn.graph.parity import Parity, answers, check_parity, compare_outputs
from edgecnn.graph.simplify import Check, Simplified, simplify
from edgecnn.graph.wiring import set_nodes

EQUAL = Parity(n=1, max_abs_diff=0.0, rel=0.0, top1_equal=1, sqnr_db=150.0)


def images(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(size=(1, 3, 8, 8)).astype(np.float32) for _ in range(count)]


def cluttered(*, features: int = 8) -> ModelProto:
    """Conv, batch norm, a copy, Relu, and a Reshape whose shape is computed while it runs."""
    rng = np.random.default_rng(0)
    weights = {
        "conv.weight": rng.normal(size=(8, 3, 3, 3)), "norm.scale": rng.uniform(0.5, 2, 8),
        "norm.bias": rng.normal(size=8), "norm.mean": rng.normal(size=8),
        "norm.var": rng.uniform(0.5, 2, 8), "fc.weight": rng.normal(size=(features, 512)),
        "fc.bias": rng.normal(size=features),
    }  # fmt: skip
    norm = ["a", "norm.scale", "norm.bias", "norm.mean", "norm.var"]
    nodes = [
        node("/conv/Conv", "Conv", ["input", "conv.weight"], "a", pads=[1] * 4),
        node("/norm/BatchNormalization", "BatchNormalization", norm, "b"),
        node("/Identity", "Identity", ["b"], "c"),
        node("/relu/Relu", "Relu", ["c"], "d"),
        node("/Constant", "Constant", [], "minus_one", value_ints=[-1]),
        node("/Shape", "Shape", ["d"], "shape", end=1),
        node("/Concat", "Concat", ["shape", "minus_one"], "rows", axis=0),
        node("/Reshape", "Reshape", ["d", "rows"], "e"),
        node("/fc/Gemm", "Gemm", ["e", "fc.weight", "fc.bias"], "logits", transB=1),
    ]
    return model(nodes, weights, features)


def node(name: str, kind: str, inputs: list[str], output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(kind, inputs, [output], name=name, **attributes)


def model(nodes: list[NodeProto], weights: dict[str, np.ndarray], features: int) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, (1, 3, 8, 8))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, features))],
        [
            numpy_helper.from_array(value.astype(np.float32), name)
            for name, value in weights.items()
        ],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def same_answers(simplified: ModelProto) -> Parity:
    """Whether a model answers as `cluttered` does."""
    parity = compare_outputs(answers(cluttered(), images(4)), simplified, images(4))
    check_parity(parity, what="cluttered")
    return parity


def only(original: ModelProto) -> Check:
    """A check that takes nothing but a model with as many nodes as the original."""
    count = len(original.graph.node)

    def same_size(candidate: ModelProto) -> Parity:
        if len(candidate.graph.node) != count:
            raise ParityError("net: outputs differ by 1.0e+00", hint="")
        return EQUAL

    return same_size


@pytest.fixture(scope="module", autouse=True)
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Temporary files go here, and none may stay."""
    folder = tmp_path_factory.mktemp("scratch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        yield folder


@pytest.fixture(scope="module")
def simplified(scratch: Path) -> Simplified:
    assert scratch.is_dir()
    return simplify(cluttered(), check_answers=same_answers)


def test_norms_copies_and_computed_shapes_are_folded(simplified: Simplified) -> None:
    assert [(item.name, item.op_type) for item in simplified.model.graph.node] == [
        ("/conv/Conv", "Conv"),
        ("/relu/Relu", "Relu"),
        ("/Reshape", "Reshape"),
        ("/fc/Gemm", "Gemm"),
    ]
    assert (simplified.nodes_before, simplified.nodes_after) == (9, 4)
    assert simplified.note is None


def test_the_answers_are_those_of_before(simplified: Simplified) -> None:
    assert simplified.parity.n == 4
    assert simplified.parity.rel < 1e-6


def test_the_result_is_readable_and_clean(simplified: Simplified) -> None:
    names = {item.name for item in simplified.model.graph.initializer}
    assert names == {"conv.weight", "conv.bias", "fc.weight", "fc.bias", "shape"}
    assert not simplified.model.metadata_props
    assert not simplified.model.graph.value_info
    assert simplified.model.ir_version == 8


def test_the_same_model_gives_the_same_bytes(simplified: Simplified) -> None:
    again = simplify(cluttered(), check_answers=lambda _: EQUAL)
    assert again.model.SerializeToString() == simplified.model.SerializeToString()


def test_a_result_with_other_answers_is_not_kept() -> None:
    original = cluttered()
    kept = simplify(cluttered(), check_answers=only(original))
    assert kept.note == "kept unsimplified: net: outputs differ by 1.0e+00"
    assert kept.model.graph.node == original.graph.node
    assert kept.nodes_after == kept.nodes_before == 9
    assert same_answers(kept.model).rel == 0


def test_a_model_that_was_wrong_before_is_an_error() -> None:
    def never(_: ModelProto) -> Parity:
        raise ParityError("net: outputs differ by 1.0e+00", hint="")

    with pytest.raises(ParityError):
        simplify(cluttered(), check_answers=never)


def test_time_is_limited() -> None:
    kept = simplify(cluttered(), check_answers=same_answers, timeout_s=0.01)
    assert kept.note == "kept unsimplified: onnxsim took more than 0.01 s"
    assert len(kept.model.graph.node) == 9


@pytest.mark.parametrize(
    ("crash", "reason"),
    [
        ("import os; os.abort()", "onnxsim was ended by SIGABRT"),
        ("raise MemoryError('bad_alloc')", "onnxsim failed: MemoryError: bad_alloc"),
        ("import sys; open(sys.argv[2], 'w').write('no model')", "onnxsim wrote no model"),
        ("pass", "onnxsim failed: no reason given"),
    ],
)
def test_a_crash_takes_nothing_down(
    crash: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(crash)
    monkeypatch.setattr(simplify_worker, "__file__", str(worker))
    kept = simplify(cluttered(), check_answers=same_answers)
    assert kept.note == f"kept unsimplified: {reason}"
    assert same_answers(kept.model).rel == 0


def test_no_temporary_file_has_stayed(scratch: Path, simplified: Simplified) -> None:
    assert simplified.nodes_after
    assert not list(scratch.iterdir())


# Weights do not travel


def test_a_model_without_its_heavy_weights() -> None:
    whole = heavy()
    light = lighten(whole)
    assert light.ByteSize() < 20_000 < 2_000_000 < whole.ByteSize()
    assert [info.name for info in light.graph.input] == ["input", "fc.weight"]
    check(light)


def test_weights_that_may_be_folded_stay_in_sight() -> None:
    assert lighten(cluttered(features=1000)).ByteSize() > 2_000_000  # there is a batch norm


def test_the_light_graph_goes_back_and_forth() -> None:
    whole = heavy()
    before, original = whole.SerializeToString(), lighten(whole)
    changed = lighten(whole)
    changed.graph.node[1].op_type = "Sigmoid"
    put_graph(whole, changed)
    assert [info.name for info in whole.graph.input] == ["input"]
    assert whole.graph.node[1].op_type == "Sigmoid"
    put_graph(whole, original)
    assert answer(whole) == answer(ModelProto.FromString(before))


def heavy() -> ModelProto:
    """A Conv, a Relu and a Gemm of 2 MB."""
    whole = cluttered(features=1000)
    conv, _, _, relu, *_, gemm = whole.graph.node
    relu.input[0] = "a"
    flatten = node("/Flatten", "Flatten", ["d"], "e")
    set_nodes(whole, [conv, relu, flatten, gemm])
    return whole


def answer(whole: ModelProto) -> bytes:
    (logits,) = next(answers(whole, images(1)))
    return logits.tobytes()
