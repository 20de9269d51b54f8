"""What strangers bring: each is quantized right, or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper

from edgecnn.errors import GraphError
from edgecnn.graph.fold import fold
from edgecnn.graph.normal import read_model
from edgecnn.graph.quantize import Quantized, quantize_model
from edgecnn.graph.sensitivity import sensitivity
from tests import toy
from tests.graph.running import answers, session, sqnr_db

IMAGES = toy.images(30)


def quantized(model: ModelProto) -> Quantized:
    """Quantized, and it runs and gives numbers."""
    result = quantize_model(model, IMAGES, effort="fast")
    assert np.isfinite(answers(result.model)).all()
    return result


def stem_and_head(after: Callable[[toy.Net, str], str], *, seed: int = 0) -> ModelProto:
    """A convolution, something strange, another convolution and a head."""
    net = toy.Net(seed=seed)
    strange = after(net, net.relu(net.conv("image", 8)))
    net._channels[strange] = net._channels[strange] or 8
    return net.model(net.head(net.relu(net.conv(strange, 16))))


def grouped(net: toy.Net, maps: str) -> str:
    return net.conv(maps, 16, group=4)


def multiplied_depthwise(net: toy.Net, maps: str) -> str:
    return net.conv(maps, 16, group=8)


def without_bias(net: toy.Net, maps: str) -> str:
    return net.relu6(net.conv(maps, 16, bias=False))


def upsampled(net: toy.Net, maps: str) -> str:
    weight = net.constant(net.random(8, 8, 2, 2, fan_in=32))
    return net.relu(net.node("ConvTranspose", maps, weight, strides=[2, 2]))


def resized(net: toy.Net, maps: str) -> str:
    scales = net.constant(np.array([1, 1, 2, 2], np.float32))
    return net.node("Resize", maps, "", scales, mode="nearest")


def averaged(net: toy.Net, maps: str) -> str:
    return net.node("AveragePool", maps, kernel_shape=[2, 2], strides=[2, 2])


def swish(net: toy.Net, maps: str) -> str:
    return net.node("Mul", maps, net.node("Sigmoid", maps))


def leaky(net: toy.Net, maps: str) -> str:
    return net.node("LeakyRelu", net.conv(maps, 8), alpha=0.1)


def clipped_below_zero(net: toy.Net, maps: str) -> str:
    return net.node("Clip", net.conv(maps, 8), net.constant(-0.5), net.constant(0.5))


def shuffled(net: toy.Net, maps: str) -> str:
    split = net.constant(np.array([1, 4, 2, 16, 16], np.int64))
    back = net.constant(np.array([1, 8, 16, 16], np.int64))
    groups = net.node("Transpose", net.node("Reshape", maps, split), perm=[0, 2, 1, 3, 4])
    return net.node("Reshape", groups, back)


def sliced(net: toy.Net, maps: str) -> str:
    ends = [net.constant(np.array([value], np.int64)) for value in (0, 4, 1)]
    half = net.node("Slice", maps, *ends)
    return net.node("Concat", half, half, axis=1)


def padded_by_ones(net: toy.Net, maps: str) -> str:
    pads = net.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
    return net.node("Pad", maps, pads, net.constant(1.0))


def added_to_itself(net: toy.Net, maps: str) -> str:
    return net.node("Add", maps, maps)


def scaled_by_a_constant(net: toy.Net, maps: str) -> str:
    return net.node("Mul", maps, net.constant(0.5))


STRANGE = (
    grouped, multiplied_depthwise, without_bias, upsampled, resized, averaged, swish, leaky,
    clipped_below_zero, shuffled, sliced, padded_by_ones, added_to_itself, scaled_by_a_constant,
)  # fmt: skip


@pytest.mark.parametrize("strange", STRANGE, ids=lambda build: build.__name__)
def test_less_common_nodes_are_quantized_right(strange: Callable[[toy.Net, str], str]) -> None:
    result = quantized(stem_and_head(strange))
    assert result.check.sqnr_db > 33
    assert result.check.top1_agreement > 0.85


def test_a_transposed_convolution_stays_float_and_is_reported() -> None:
    assert quantized(stem_and_head(upsampled)).float_layers == ("convtranspose_2",)


def test_images_with_channels_last_are_taken() -> None:
    net = toy.Net(channels=3)
    net.shape = (1, 16, 16, 3)
    maps = net.node("Transpose", "image", perm=[0, 3, 1, 2])
    net._channels[maps] = 3
    model = net.model(net.head(net.relu(net.conv(maps, 8))))

    def images() -> Iterator[toy.Float]:
        return (np.ascontiguousarray(image.transpose(0, 2, 3, 1)) for image in IMAGES())

    assert quantize_model(model, images, effort="fast").check.sqnr_db > 35


def test_a_layer_that_is_always_zero() -> None:
    net = toy.Net()
    dead = net.conv("image", 8)
    for name in net.nodes[-1].input[1:]:
        net.weights[name][:] = 0
    maps = net.node("Add", net.relu(dead), net.relu(net.conv("image", 8)))
    assert quantized(net.model(net.head(maps))).check.sqnr_db > 35


@pytest.mark.parametrize("value", [3.0, -3.0, 1e-20, 0.0])
def test_a_channel_that_is_constant(value: float) -> None:
    net = toy.Net()
    maps = net.conv("image", 8)
    weight, bias = net.nodes[-1].input[1:]
    net.weights[weight][:4] = 0
    net.weights[bias][:4] = value
    model = net.model(net.head(net.conv(net.relu(maps), 8)))
    assert quantized(model).check.sqnr_db > 35


def test_a_channel_with_almost_no_weight_and_a_large_bias() -> None:
    """Its bias would not fit 32 bits in units of its own scale."""
    net = toy.Net()
    maps = net.conv("image", 8)
    weight, bias = net.nodes[-1].input[1:]
    net.weights[weight][0] *= 1e-12
    net.weights[bias][0] = 2.0
    model = net.model(net.head(net.conv(net.relu(maps), 8)))
    assert quantized(model).check.sqnr_db > 35


def test_a_network_that_answers_the_same_to_everything() -> None:
    net = toy.Net()
    maps = net.conv("image", 8)
    net.weights[net.nodes[-1].input[1]][:] = 0
    result = quantized(net.model(net.head(net.relu(maps))))
    assert result.check.top1_agreement == 1


def test_one_image_a_thousand_times() -> None:
    image = next(IMAGES())
    result = quantize_model(toy.plain(), lambda: iter([image] * 1000), effort="fast")
    assert result.check.sqnr_db > 35


def test_a_head_that_ends_in_a_convolution_or_a_softmax() -> None:
    net = toy.Net()
    pooled = net.node("GlobalAveragePool", net.relu(net.conv("image", 16)))
    rows = net.node("Softmax", net.node("Flatten", net.conv(pooled, 10, 1)))
    assert quantized(net.model(rows)).check.sqnr_db > 25


def test_a_second_output_survives() -> None:
    model = toy.plain()
    hidden = next(node.output[0] for node in model.graph.node if node.op_type == "Flatten")
    model.graph.output.add().name = hidden
    int8 = quantized(model).model
    assert [output.name for output in session(int8).get_outputs()] == ["logits", hidden]


def test_a_tensor_of_the_wrong_size_is_refused() -> None:
    with pytest.raises(GraphError, match=r"\(1, 3, 20, 20\)"):
        quantize_model(toy.plain(), toy.images(20, side=20))


def test_images_that_are_no_numbers_are_refused() -> None:
    def broken() -> Iterator[toy.Float]:
        return (image * np.float32(np.nan) for image in IMAGES())

    with pytest.raises(GraphError, match="'image' is NaN or infinity"):
        quantize_model(toy.plain(), broken)


@pytest.mark.parametrize("target", ["onnxruntime-x86", "tensorrt"])
@pytest.mark.parametrize("opset", range(11, 24))
def test_every_opset_is_quantized(opset: int, target: str) -> None:
    model = toy.plain() if opset < 18 else toy.mean_head(opset=opset)
    model.opset_import[0].version = opset
    int8 = quantize_model(model, IMAGES, effort="fast", target=target)
    assert int8.check.sqnr_db > 25
    assert np.isfinite(answers(int8.model)).all()


def test_weights_outside_the_file_and_shared_by_layers(tmp_path: Path) -> None:
    net = toy.Net()
    first = net.conv(net.relu(net.conv("image", 8)), 8)
    second = net.node("Conv", net.relu(first), *net.nodes[2].input[1:], pads=[1] * 4)
    path = tmp_path / "net.onnx"
    model = net.model(net.head(net.relu(second)))
    onnx.save(model, path, save_as_external_data=True, location="net.data", size_threshold=0)
    made = quantize_model(path, IMAGES)
    assert made.check.sqnr_db > 25
    with pytest.raises(GraphError, match="quantized already"):
        quantize_model(made.model, IMAGES)


@pytest.mark.parametrize("batch", [4, "n"])
def test_a_batch_that_is_larger_or_open(batch: int | str) -> None:
    """Calibrated with one image at a time all the same."""
    net = toy.Net(seed=7)
    net.shape = (batch, 3, 16, 16)
    model = net.model(net.head(net.relu(net.conv(net.relu(net.conv("image", 8)), 8))))
    made = quantize_model(model, IMAGES, effort="fast")
    together = np.concatenate(list(islice(IMAGES(), 4)))
    reference, int8 = (session(m).run(None, {"image": together})[0] for m in (model, made.model))
    assert sqnr_db(np.asarray(reference), np.asarray(int8)) > 35
    errors = sensitivity(fold(read_model(model)), made.model, islice(IMAGES(), 4))
    assert all(error.accumulated < 1e-3 for error in errors)


def test_one_huge_value_does_not_ruin_the_rest() -> None:
    """An image with a pixel of a thousand times the others' size."""

    def images() -> Iterator[toy.Float]:
        for index, image in enumerate(IMAGES()):
            if index == 3:
                image[0, 0, 5, 5] = 1e3
            yield image

    made = quantize_model(toy.plain(), images, held_out=toy.images(20, seed=1), effort="fast")
    assert made.check.sqnr_db > 10
    assert np.isfinite(answers(made.model)).all()


@pytest.mark.parametrize("target", ["onnxruntime-arm", "tensorrt"])
def test_the_same_inputs_give_the_same_bytes_for_every_target(target: str) -> None:
    first, second = (
        quantize_model(toy.depthwise(), IMAGES, target=target).model.SerializeToString()
        for _ in range(2)
    )
    assert first == second


def test_a_huge_activation_on_one_image_is_cut_off() -> None:
    """A bright pixel, seen once, stirs a channel a hundred times as much as all else does."""
    net = toy.Net(seed=8)
    maps = net.conv("image", 8)
    weight, bias = net.nodes[-1].input[1:]
    net.weights[weight][0] = 0
    net.weights[weight][0, 0, 1, 1] = 1000
    net.weights[bias][0] = -2000
    model = net.model(net.head(net.relu(net.conv(net.relu(maps), 16))))

    def images() -> Iterator[toy.Float]:
        for index, image in enumerate(IMAGES()):
            image = np.minimum(image, np.float32(1.9))
            image[0, 0, 5, 5] = 2.5 if index == 3 else 0.0
            yield image

    auto, minmax = (
        quantize_model(model, images, method=m, effort="fast") for m in ("auto", "minmax")
    )
    assert auto.check.sqnr_db > minmax.check.sqnr_db + 6


def test_answers_beyond_what_squares_can_hold_are_compared_all_the_same() -> None:
    """Weights of 1e30 give answers whose squares float32 cannot hold."""
    model = toy.plain()
    weight = next(item for item in model.graph.initializer if len(item.dims) == 4)
    huge = numpy_helper.to_array(weight) * np.float32(1e30)
    weight.CopyFrom(numpy_helper.from_array(huge, weight.name))
    made = quantize_model(model, IMAGES, effort="fast")
    assert np.isfinite(made.check.sqnr_db)
