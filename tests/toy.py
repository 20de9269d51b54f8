"""Small networks as ONNX models, built in code, and images to run them on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

Float = NDArray[np.float32]
CLASSES = 10


class Net:
    """A network under construction: each method adds a node and returns its output's name."""

    def __init__(self, *, channels: int = 3, side: int = 16, seed: int = 0) -> None:
        self.shape: tuple[int | str, ...] = (1, channels, side, side)
        self.nodes: list[NodeProto] = []
        self.weights: dict[str, NDArray[Any]] = {}
        self._channels = {"image": channels}
        self._random = np.random.default_rng(seed)

    def constant(self, value: NDArray[np.generic] | float, name: str | None = None) -> str:
        name = name or f"constant_{len(self.weights)}"
        array = np.asarray(value, np.float32) if isinstance(value, float) else value
        self.weights[name] = array
        return name

    def node(self, op: str, *inputs: str, **attributes: object) -> str:
        name = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))  # type: ignore[arg-type]
        self._channels[name] = self._channels.get(inputs[0], 0)
        return name

    def conv(
        self,
        source: str,
        channels: int,
        kernel: int = 3,
        *,
        bias: bool = True,
        **attributes: object,
    ) -> str:
        inputs = self._channels[source] // int(str(attributes.get("group", 1)))
        shape = (channels, inputs, kernel, kernel)
        names = [source, self.constant(self.random(*shape, fan_in=inputs * kernel**2))]
        if bias:
            names.append(self.constant(self.random(channels, fan_in=8)))
        attributes.setdefault("pads", [kernel // 2] * 4)
        output = self.node("Conv", *names, **attributes)
        self._channels[output] = channels
        return output

    def depthwise(self, source: str, kernel: int = 3, **attributes: object) -> str:
        channels = self._channels[source]
        return self.conv(source, channels, kernel, bias=True, group=channels, **attributes)

    def relu(self, source: str) -> str:
        return self.node("Relu", source)

    def relu6(self, source: str) -> str:
        return self.node("Clip", source, self.constant(0.0), self.constant(6.0))

    def norm(self, source: str) -> str:
        count = self._channels[source]
        parameters = (
            self._random.uniform(0.5, 1.5, count), self.random(count, fan_in=4),
            self.random(count, fan_in=4), self._random.uniform(0.5, 1.5, count),
        )  # fmt: skip
        names = [self.constant(value.astype(np.float32)) for value in parameters]
        return self.node("BatchNormalization", source, *names)

    def head(self, source: str) -> str:
        rows = self.node("Flatten", self.node("GlobalAveragePool", source))
        return self.gemm(rows, self._channels[source])

    def gemm(self, source: str, inputs: int) -> str:
        weight = self.constant(self.random(CLASSES, inputs, fan_in=inputs))
        bias = self.constant(self.random(CLASSES, fan_in=8))
        return self.node("Gemm", source, weight, bias, transB=1)

    def random(self, *shape: int, fan_in: int) -> Float:
        """Weights that keep the size of activations (He et al. 2015)."""
        scale = np.sqrt(2 / fan_in)
        return np.asarray(self._random.standard_normal(shape) * scale, np.float32)

    def model(self, output: str, *, opset: int = 17, ir_version: int = 8) -> ModelProto:
        """The finished model; its output is called `logits`."""
        for node in self.nodes:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    names[index] = "logits" if name == output else name
        graph = helper.make_graph(
            self.nodes,
            "toy",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (self.shape[0], CLASSES))],
            [numpy_helper.from_array(value, name) for name, value in self.weights.items()],
        )
        return helper.make_model(
            graph, ir_version=ir_version, opset_imports=[helper.make_opsetid("", opset)]
        )


def plain() -> ModelProto:
    """Three convolutions, a max-pool, a linear layer: a small VGG."""
    net = Net()
    maps = net.relu(net.conv("image", 16))
    maps = net.node("MaxPool", maps, kernel_shape=[2, 2], strides=[2, 2])
    maps = net.relu(net.conv(maps, 24))
    return net.model(net.head(net.relu(net.conv(maps, 32))))


def residual() -> ModelProto:
    """A stem and two residual blocks: a small ResNet."""
    net = Net(seed=1)
    maps = net.relu(net.conv("image", 16))
    for _ in range(2):
        inner = net.conv(net.relu(net.conv(maps, 16)), 16)
        maps = net.relu(net.node("Add", maps, inner))
    return net.model(net.head(maps))


def depthwise() -> ModelProto:
    """A stem and an inverted residual with ReLU6: a small MobileNetV2."""
    net = Net(seed=2)
    maps = net.relu6(net.conv("image", 8))
    wide = net.relu6(net.conv(maps, 32, 1))
    wide = net.relu6(net.depthwise(wide))
    maps = net.node("Add", maps, net.conv(wide, 8, 1))
    maps = net.relu6(net.depthwise(maps, strides=[2, 2]))
    return net.model(net.head(net.relu6(net.conv(maps, 32, 1))))


def concat() -> ModelProto:
    """A fire module of a small SqueezeNet."""
    net = Net(seed=3)
    maps = net.relu(net.conv("image", 12))
    squeezed = net.relu(net.conv(maps, 8, 1))
    joined = net.node(
        "Concat", net.relu(net.conv(squeezed, 12, 1)), net.relu(net.conv(squeezed, 12)), axis=1
    )
    net._channels[joined] = 24
    pooled = net.node("MaxPool", joined, kernel_shape=[2, 2], strides=[2, 2])
    net._channels[pooled] = 24
    return net.model(net.head(net.relu(net.conv(pooled, 24))))


def excited() -> ModelProto:
    """HardSwish and squeeze-and-excitation: a small MobileNetV3."""
    net = Net(seed=4)
    maps = net.node("HardSwish", net.conv("image", 16))
    gate = net.node("GlobalAveragePool", maps)
    gate = net.node("HardSigmoid", net.conv(net.relu(net.conv(gate, 8, 1)), 16, 1), alpha=1 / 6)
    maps = net.node("Mul", maps, gate)
    return net.model(net.head(net.node("HardSwish", net.conv(maps, 24))))


def mean_head(*, opset: int = 17) -> ModelProto:
    """Unfolded batch norms and a ReduceMean before the linear layer, as PyTorch exports them."""
    net = Net(seed=5)
    maps = net.relu(net.norm(net.conv("image", 16, bias=False)))
    maps = net.relu(net.norm(net.conv(maps, 24, bias=False)))
    if opset < 18:
        rows = net.node("ReduceMean", maps, axes=[2, 3], keepdims=0)
    else:
        axes = net.constant(np.array([-2, -1], np.int64))
        rows = net.node("ReduceMean", maps, axes, keepdims=0)
    return net.model(net.gemm(rows, 24), opset=opset)


NETS: dict[str, Callable[[], ModelProto]] = {
    "plain": plain,
    "residual": residual,
    "depthwise": depthwise,
    "concat": concat,
    "excited": excited,
    "mean_head": mean_head,
}


def images(
    count: int, *, channels: int = 3, side: int = 16, seed: int = 0, batch: int = 1
) -> Callable[[], Iterator[Float]]:
    """Smooth random images with their own brightness and colours, the same at each call."""

    def make() -> Iterator[Float]:
        random = np.random.default_rng(seed)
        for _ in range(count):
            coarse = random.standard_normal((batch, channels, side // 4 + 1, side // 4 + 1))
            fine = random.standard_normal((batch, channels, side, side))
            smooth = np.kron(coarse, np.ones((4, 4)))[:, :, :side, :side]
            brightness = random.uniform(-1, 1, (batch, channels, 1, 1))
            yield (smooth + 0.3 * fine + brightness).astype(np.float32)

    return make
