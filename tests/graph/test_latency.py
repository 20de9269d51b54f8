"""What one graph costs more than another."""

from __future__ import annotations

from onnx import ModelProto

from edgecnn.graph.latency import extra_latency
from tests import toy


def wide(channels: int) -> ModelProto:
    net = toy.Net(side=64)
    return net.model(net.head(net.conv(net.conv("image", channels), channels)))


def test_more_work_costs_time_and_less_work_saves_it() -> None:
    small, large = wide(4), wide(64)
    image = next(toy.images(1, side=64)())
    dearer, cheaper = extra_latency(small, large, image), extra_latency(large, small, image)
    assert dearer.extra_ms > dearer.base_ms
    assert -cheaper.base_ms < cheaper.extra_ms < 0
