"""Networks in which one layer is known to lose the accuracy."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from tests import toy


def loud_channel(*, times: float = 300.0) -> tuple[ModelProto, str]:
    """One channel of one convolution is far louder than the others, and nobody listens to it.

    Its outputs share one scale, so that the quiet channels, which decide, are left few steps.
    """
    net = toy.Net(seed=11)
    maps = net.relu(net.conv("image", 12))
    culprit = net.conv(maps, 12, 1)
    weight, bias = net.nodes[-1].input[1:3]
    net.weights[weight][5] *= times
    net.weights[bias][5] = 1.0
    after = net.conv(net.relu(culprit), 16)
    net.weights[net.nodes[-1].input[1]][:, 5] /= 20 * times
    maps = net.relu(net.conv(net.relu(after), 24))
    return net.model(net.head(maps)), culprit


def coarse_layer() -> tuple[ModelProto, str]:
    """In each channel of one layer a weight that sees nothing makes the others' steps coarse."""
    net = toy.Net(seed=12)
    maps = net.relu(net.conv("image", 12))
    silent = np.zeros((12, 12, 1, 1), np.float32)
    silent[np.arange(11), np.arange(11)] = 1.0  # channel 11 is dead
    weight = net.constant(silent)
    maps = net.relu(net.node("Conv", maps, weight))
    net._channels[maps] = 12
    culprit = net.conv(maps, 16, 1)
    net.weights[net.nodes[-1].input[1]][:, 11] = 300.0
    maps = net.relu(net.conv(net.relu(culprit), 24))
    return net.model(net.head(maps)), culprit


def chain() -> ModelProto:
    """A convolution, a depthwise one and another, with Relus between."""
    net = toy.Net(seed=14)
    maps = net.relu(net.depthwise(net.relu(net.conv("image", 12))))
    return net.model(net.head(net.relu(net.conv(maps, 24))))


def hopeless() -> ModelProto:
    """A single layer whose two huge weights cancel on grey images; what decides is rounded away."""
    net = toy.Net(seed=13)
    maps = net.conv("image", toy.CLASSES)
    weight, bias = net.nodes[-1].input[1:3]
    net.weights[weight][:, 0, 1, 1] += 300.0
    net.weights[weight][:, 1, 1, 1] -= 300.0
    net.weights[bias][:] = 0.0
    return net.model(net.node("Flatten", net.node("GlobalAveragePool", maps)))
