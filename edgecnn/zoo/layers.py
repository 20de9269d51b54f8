"""A network layer by layer, as the field prints it: shapes, parameters, work, memory and view."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from edgecnn.zoo.arithmetic import conv_cut_off, conv_macs, conv_remainder
from edgecnn.zoo.count import parameters
from edgecnn.zoo.trace import Border, Call, Kind, Pair, Window, trace

_FLOAT32_BYTES = 4
_SUMMING = ("convolution", "transposed", "linear")


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's row; all figures are of one image, pairs are (height, width).

    The shapes are (C, H, W) or (C,); kernel, stride, padding and dilation are None for layers that
    do not slide; `receptive_field` is how many pixels of the image one output sees, counted beyond
    its border too; `share` is the layer's part of all multiply-accumulates, from 0 to 1.

    `folded` says of a batch norm that it follows its convolution at once, so that deployment folds
    it into that; one before a convolution, as DenseNet's, stays and costs its memory traffic.

    `padded` is what the network puts around the input just before the layer, which does not pad
    there by itself: at the top, the bottom, the left and the right; `input_shape` counts it.

    `remainder` is what no position of the kernel reaches at the end of the padded input, and
    `cut_off` how much of it is the input's own and not padding of either kind.
    """

    name: str
    kind: Kind
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    kernel: Pair | None
    stride: Pair | None
    padding: Pair | None
    dilation: Pair | None
    groups: int
    parameters: int
    macs: int
    share: float
    activation_bytes: int
    receptive_field: Pair
    folded: bool
    remainder: Pair
    cut_off: Pair
    padded: Border

    @property
    def padding_note(self) -> str | None:
        """What is put around the input before the layer, in words, or None."""
        sides = zip(self.padded, ("at the top", "at the bottom", "left", "right"), strict=True)
        said = [f"{count} {side}" for count, side in sides if count]
        return f"its input is padded before: {', '.join(said)}" if said else None

    @property
    def note(self) -> str | None:
        """What is cut off in words, or None where (W - F + 2P) / S is whole."""
        if self.cut_off != (0, 0):
            return f"the last {_lines(self.cut_off)} of its input unused"
        if self.remainder != (0, 0):
            return f"the last {_lines(self.remainder)} of its padding unused"
        return None


@dataclass(frozen=True, slots=True)
class LayerTable:
    """The layers in the order in which they run, and the whole network's figures.

    `parameters` counts what inference uses, also what belongs to no layer here; `activation_bytes`
    sums the float32 outputs of all layers but the batch norms that deployment folds away.
    """

    layers: tuple[Layer, ...]
    parameters: int
    macs: int
    activation_bytes: int


def layer_table(
    network: nn.Module, input_shape: tuple[int, int, int, int], *, images: int = 0
) -> LayerTable:
    """The table of a network for one image of (N, C, H, W); see `trace` for `images`.

    Raises what the network raises for a shape that it cannot take (RuntimeError).
    """
    calls = trace(network, input_shape, images=images)
    total = sum(_macs(call) for call in calls)
    summing = {id(call.output) for call in calls if call.kind in _SUMMING}
    layers = tuple(_row(call, total, summing) for call in calls)
    return LayerTable(
        layers=layers,
        parameters=parameters(network),
        macs=total,
        activation_bytes=sum(row.activation_bytes for row in layers if not row.folded),
    )


def _row(call: Call, total_macs: int, summing: Container[int]) -> Layer:
    source: Tensor = call.arguments["input"]
    shape = tuple(call.output.shape[1:])
    window, macs = call.window, _macs(call)
    trained = (call.arguments.get("weight"), call.arguments.get("bias"))
    return Layer(
        name=call.name,
        kind=call.kind,
        input_shape=tuple(source.shape[1:]),
        output_shape=shape,
        kernel=window and window.kernel,
        stride=window and window.stride,
        padding=window and window.padding,
        dilation=window and window.dilation,
        groups=call.arguments.get("groups", 1),
        parameters=sum(tensor.numel() for tensor in trained if tensor is not None),
        macs=macs,
        share=macs / max(total_macs, 1),
        activation_bytes=_FLOAT32_BYTES * math.prod(shape),
        receptive_field=call.receptive_field,
        folded=call.kind == "batch norm" and id(source) in summing,
        remainder=_left_over(conv_remainder, source, window),
        cut_off=_less(_left_over(conv_cut_off, source, window), call.padded),
        padded=call.padded,
    )


def _less(cut_off: Pair, padded: Border) -> Pair:
    """What is left of it where the last rows and columns are no part of the image's maps."""
    _, bottom, _, right = padded
    return max(0, cut_off[0] - bottom), max(0, cut_off[1] - right)


def _left_over(count: Callable[..., int], source: Tensor, window: Window | None) -> Pair:
    if window is None or window.whole:
        return (0, 0)
    sizes = zip(source.shape[2:], *window[:4], strict=True)
    rows, columns = (
        count(pixels, kernel, stride=stride, padding=padding, dilation=dilation)
        for pixels, kernel, stride, padding, dilation in sizes
    )
    return rows, columns


def _macs(call: Call) -> int:
    arguments: Mapping[str, Any] = call.arguments
    if call.kind == "linear":
        return int(arguments["weight"].numel()) * math.prod(call.output.shape[1:-1])
    if call.kind not in _SUMMING:
        return 0
    # A transposed convolution does the work of the convolution that it turns around.
    source, sums = arguments["input"], call.output
    if call.kind == "transposed":
        source, sums = sums, source
    return conv_macs(
        source.shape[1],
        sums.shape[1],
        tuple(arguments["weight"].shape[2:]),
        output=(sums.shape[2], sums.shape[3]),
        groups=arguments.get("groups", 1),
    )


def _lines(pair: Pair) -> str:
    rows, columns = pair
    words = ((rows, "row"), (columns, "column"))
    return " and ".join(f"{count} {word}{'s' * (count > 1)}" for count, word in words if count)
