"""A session answers as the whole model does, though its heavy weights are only lent to it."""

from __future__ import annotations

import gc

import numpy as np
import onnxruntime as ort
import pytest
from onnx import ModelProto

from edgecnn.graph import session
from edgecnn.graph.quantize import quantize_model
from edgecnn.graph.session import Session
from tests import toy


@pytest.fixture(params=("float", "int8"))
def model(request: pytest.FixtureRequest) -> ModelProto:
    """A network whose last layer alone has three hundred thousand values, in float or in INT8."""
    net = toy.Net(side=32)
    flat = net.node("Flatten", net.relu(net.conv("image", 32)))
    model = net.model(net.gemm(flat, 32 * 32 * 32))
    if request.param == "float":
        return model
    return quantize_model(model, toy.images(16, side=32), effort="fast").model


def test_lent_weights_give_the_very_same_answers(model: ModelProto) -> None:
    bare, heavy = session._without_heavy(model, None)
    assert heavy, "the test means something"
    assert len(bare.SerializeToString()) < 200_000
    image = next(toy.images(1, side=32)())
    whole = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (expected,) = whole.run(None, {"image": image})
    (given,) = Session(model).run(image)
    np.testing.assert_array_equal(given, expected)


def test_the_weights_outlive_the_model(model: ModelProto) -> None:
    image = next(toy.images(1, side=32)())
    lender = ModelProto.FromString(model.SerializeToString())
    running = Session(lender)
    (before,) = running.run(image)
    del lender
    gc.collect()
    other_memory = [np.full(1 << 18, np.nan, np.float32) for _ in range(64)]
    np.testing.assert_array_equal(running.run(image)[0], before)
    assert other_memory


def test_tensors_inside_can_be_asked_for(model: ModelProto) -> None:
    name = model.graph.node[-1].input[0]
    image = next(toy.images(1, side=32)())
    assert Session(model, [name]).names == (name,)
    assert Session(model, [name]).run(image)[0].ndim >= 2
