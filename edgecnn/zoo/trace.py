"""What runs inside a network, call by call: how each layer slides and what its outputs see."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from edgecnn.zoo.arithmetic import conv_span
from edgecnn.zoo.count import evaluating

Kind = Literal[
    "convolution", "transposed", "linear", "batch norm", "max pool", "average pool", "global pool"
]
Pair = tuple[int, int]
Border = tuple[int, int, int, int]  # pixels at the top, the bottom, the left and the right
NO_BORDER: Border = (0, 0, 0, 0)


def trace(
    network: nn.Module, input_shape: tuple[int, int, int, int], *, images: int = 0
) -> tuple[Call, ...]:
    """The layers' calls in their order, for an image of (N, C, H, W).

    An empty batch goes through all layers, has all shapes, and costs no arithmetic; networks that
    cannot take it need one of `images`. Raises what the network raises for a shape that it cannot
    take (RuntimeError).
    """
    device = next((parameter.device for parameter in network.parameters()), None)
    batch = torch.zeros((images, *input_shape[1:]), device=device)
    tracer = _Tracer(batch)
    with evaluating(network), torch.no_grad(), _naming(network, tracer), tracer:
        network(batch)
    return tuple(tracer.calls)


class Window(NamedTuple):
    """How a layer slides over its input; pairs are (height, width)."""

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    # Whether a last position that only half fits is taken; then nothing is cut off.
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One layer's call: in which module, with which arguments, and what its outputs see.

    `arguments` carries PyTorch's names; `receptive_field` is (height, width) in image pixels;
    `padded` is what was put around its input just before the call.
    """

    name: str
    kind: Kind
    arguments: Mapping[str, Any]
    output: Tensor
    window: Window | None
    receptive_field: Pair
    padded: Border = NO_BORDER


class _Field(NamedTuple):
    """What one output sees, and the distance between neighbouring outputs, in image pixels."""

    height: float
    width: float
    row_step: float
    column_step: float

    def through(self, span: tuple[float, float], step: tuple[float, float]) -> _Field:
        """After a window over `span` outputs, moved by `step` of them."""
        return _Field(
            self.height + (span[0] - 1) * self.row_step,
            self.width + (span[1] - 1) * self.column_step,
            self.row_step * step[0],
            self.column_step * step[1],
        )


# The parameters of each function in their order, since PyTorch's own carry no signatures.
_CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_SIGNATURES: Mapping[Callable[..., Any], tuple[Kind, tuple[str, ...]]] = {
    functional.conv2d: ("convolution", _CONV),
    functional.conv_transpose2d: (
        "transposed",
        ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"),
    ),
    functional.linear: ("linear", ("input", "weight", "bias")),
    functional.batch_norm: (
        "batch norm",
        ("input", "running_mean", "running_var", "weight", "bias"),
    ),
    functional.max_pool2d: (
        "max pool",
        ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    ),
    functional.avg_pool2d: (
        "average pool",
        ("input", "kernel_size", "stride", "padding", "ceil_mode"),
    ),
    functional.adaptive_avg_pool2d: ("global pool", ("input", "output_size")),
}


class _Tracer(TorchFunctionMode):
    """Watches every PyTorch function that is called, and notes those of layers."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.names: list[str] = []
        self.calls: list[Call] = []
        # With the tensors themselves, so that no other can get the address of one of them.
        self.fields = {id(images): (images, _Field(1, 1, 1, 1))}
        self.borders: dict[int, Border] = {}

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        output = function(*args, **(kwargs or {}))
        kind, words = _SIGNATURES.get(function, (None, ()))
        arguments = {**dict(zip(words, args, strict=False)), **(kwargs or {})}
        window = None if kind is None else _window(kind, arguments)
        given = tuple(_tensors((*args, *(kwargs or {}).values())))
        for made in _tensors(output):  # several where maps are split
            found = self._field(given, made, kind, window)
            if found is not None:
                self.fields[id(made)] = (made, found)
                if function is functional.pad:
                    self.borders[id(made)] = _border(args, kwargs or {})
                if kind is not None:
                    seen = (math.ceil(found.height), math.ceil(found.width))
                    padded = self.borders.get(id(arguments["input"]), NO_BORDER)
                    call = Call(self.names[-1], kind, arguments, made, window, seen, padded)
                    self.calls.append(call)
        return output

    def _field(
        self, given: tuple[Tensor, ...], output: Tensor, kind: Kind | None, window: Window | None
    ) -> _Field | None:
        """What the output's values see, or None where they do not come from the image."""
        known = [self.fields[id(item)] for item in given if id(item) in self.fields]
        if not known:
            return None
        # Gates and other values without places do not widen what a place sees.
        placed = [entry for entry in known if entry[0].shape[2:] == output.shape[2:]] or known
        merged = _Field(
            *(max(sides) for sides in zip(*(entry[1] for entry in placed), strict=True))
        )
        if window is not None:
            return _slid(merged, window, transposed=kind == "transposed")
        size = placed[0][0].shape[2:]
        if len(size) == 2 and output.shape[2:] != size and (output.ndim < 4 or kind is not None):
            return merged.through((size[0], size[1]), (1, 1))
        return merged


def _slid(seen: _Field, window: Window, *, transposed: bool) -> _Field:
    height, width = (
        conv_span(kernel, dilation)
        for kernel, dilation in zip(window.kernel, window.dilation, strict=True)
    )
    if not transposed:
        return seen.through((height, width), window.stride)
    # Each output sums over the few inputs whose windows reach it, and outputs lie closer.
    rows, columns = window.stride
    return seen.through(
        (math.ceil(height / rows), math.ceil(width / columns)), (1 / rows, 1 / columns)
    )


def _window(kind: Kind, arguments: Mapping[str, Any]) -> Window | None:
    if kind in ("linear", "batch norm", "global pool"):
        return None
    weight = arguments.get("weight")
    kernel = _pair(arguments["kernel_size"] if weight is None else tuple(weight.shape[2:]))
    stride, dilation = arguments.get("stride"), _pair(arguments.get("dilation", 1))
    return Window(
        kernel=kernel,
        # A pool without a stride moves by its own size.
        stride=(kernel if weight is None else (1, 1)) if stride is None else _pair(stride),
        padding=_padding(arguments.get("padding", 0), kernel, dilation),
        dilation=dilation,
        # Windows of a transposed convolution lie on its output, so that none is left out.
        whole=bool(arguments.get("ceil_mode")) or kind == "transposed",
    )


def _padding(given: str | int | Pair, kernel: Pair, dilation: Pair) -> Pair:
    """On both sides; `same` of an even kernel puts one more at the end."""
    if isinstance(given, str):
        spans = [conv_span(size, apart) for size, apart in zip(kernel, dilation, strict=True)]
        rows, columns = ((span - 1) // 2 if given == "same" else 0 for span in spans)
        return rows, columns
    return _pair(given)


def _border(args: tuple[Any, ...], options: Mapping[str, Any]) -> Border:
    """What `functional.pad` puts around its maps; its own order is from the last side on."""
    sides = args[1] if len(args) > 1 else options["pad"]
    left, right, top, bottom = (*sides, 0, 0, 0, 0)[:4]
    return int(top), int(bottom), int(left), int(right)


def _tensors(values: object) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, tuple | list):
        for value in values:
            yield from _tensors(value)


def _pair(value: int | tuple[int, ...]) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


@contextlib.contextmanager
def _naming(network: nn.Module, tracer: _Tracer) -> Iterator[None]:
    """Tell the tracer which module is running."""

    def entering(name: str) -> Callable[..., None]:
        return lambda *_: tracer.names.append(name)

    def leaving(*_: object) -> None:
        tracer.names.pop()

    with contextlib.ExitStack() as hooks:
        for name, module in network.named_modules():
            hooks.callback(module.register_forward_pre_hook(entering(name)).remove)
            hooks.callback(module.register_forward_hook(leaving).remove)
        yield
