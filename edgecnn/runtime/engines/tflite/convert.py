"""From an ONNX file to a TFLite model with the same answers, node by node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from edgecnn.contract import TensorSpec
from edgecnn.errors import EngineError
from edgecnn.runtime.engines.tflite import layers, moves, pointwise, pools
from edgecnn.runtime.engines.tflite.graph import Rewriter, Value, refusal
from edgecnn.runtime.engines.tflite.onnx_graph import Node, read_graph
from edgecnn.runtime.engines.tflite.schema import Op

_FLOAT = "float32"


def convert(path: Path) -> bytes:
    """The TFLite model of an ONNX file, whose open sizes become 1; floats in and out, as there.

    Raises FileError, ModelError, and EngineError that names the first node that has no way of
    being written.
    """
    graph = read_graph(path)
    rewriter = Rewriter(graph)
    inputs = []
    for spec in graph.inputs:
        _check_float(path, spec)
        shape = fixed_shape(spec)
        inputs.append(rewriter.model.tensor(spec.name, shape, _FLOAT))
        rewriter.values[spec.name] = Value(inputs[-1], shape)
    for node in graph.nodes:
        _write(rewriter, node)
    outputs = []
    for spec in graph.outputs:
        _check_float(path, spec)
        rewriter.begin(_naming(spec))
        outputs.append(rewriter.plain(rewriter.floats(rewriter.value(spec.name))).index)
    _check_apart(path, inputs, outputs)
    return rewriter.model.serialized(inputs, outputs)


def fixed_shape(spec: TensorSpec) -> tuple[int, ...]:
    """A shape without open sizes."""
    return tuple(size if isinstance(size, int) else 1 for size in spec.shape)


def _write(graph: Rewriter, node: Node) -> None:
    if node.outputs[0] in graph.fused or graph.is_constant(node.outputs[0]):
        return
    write = _WRITERS.get(node.op)
    if write is None:
        raise refusal(node, "is not written as TFLite")
    graph.begin(node)
    try:
        write(graph, node)
    except KeyError as error:
        raise refusal(node, f"reads {error}, which nothing makes") from error
    except (IndexError, TypeError, ValueError) as error:  # sizes or attributes that do not fit
        raise refusal(node, f"is not as ONNX has it ({error})") from error


def _quantize(graph: Rewriter, node: Node) -> None:
    value, quant = graph.value(node.inputs[0]), graph.quant_of(node)
    # What TFLite gives in steps of its own is rounded: once more would only add to that.
    if value.quant not in pointwise.FIXED:
        value = graph.requantized(value, quant)
    graph.finish(node, value)


def _dequantize(graph: Rewriter, node: Node) -> None:
    value = graph.value(node.inputs[0])
    quant = graph.quant_of(node)
    if value.quant not in (quant, *pointwise.FIXED):
        raise refusal(node, "has another scale than its QuantizeLinear")
    graph.finish(node, value)


_WRITERS: Mapping[str, Callable[[Rewriter, Node], None]] = {
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "Conv": layers.conv,
    "ConvTranspose": layers.conv_transpose,
    "Gemm": layers.gemm,
    "MatMul": layers.gemm,
    "MaxPool": pools.max_pool,
    "AveragePool": pools.average_pool,
    "GlobalAveragePool": pools.global_average_pool,
    "ReduceMean": pools.reduce_mean,
    "Resize": pools.resize,
    "BatchNormalization": pointwise.batch_normalization,
    "ReduceL2": pointwise.euclidean_norm,
    "LRN": pointwise.local_response_normalization,
    "Relu": pointwise.relu,
    "Clip": pointwise.clip,
    "LeakyRelu": pointwise.leaky_relu,
    "Sigmoid": pointwise.function(Op.LOGISTIC, pointwise.SIGMOID),
    "Tanh": pointwise.function(Op.TANH, pointwise.TANH),
    "HardSwish": pointwise.hard_swish,
    "HardSigmoid": pointwise.hard_sigmoid,
    "Softmax": pointwise.softmax,
    "Mean": pointwise.mean,
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Max", "Min"), pointwise.binary),
    "Identity": moves.same,
    "Dropout": moves.same,
    "Concat": moves.concat,
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), moves.reshape),
    "Transpose": moves.transpose,
    "Pad": moves.pad,
    "Slice": moves.slice_,
    "Split": moves.split,
}


def _naming(spec: TensorSpec) -> Node:
    return Node("output", spec.name, (), (spec.name,))


def _check_float(path: Path, spec: TensorSpec) -> None:
    if spec.dtype != _FLOAT:
        raise EngineError(
            f"{path}: litert: {spec.name!r} is {spec.dtype}, not float32",
            hint="use --engine onnxruntime, which runs every file",
        )


def _check_apart(path: Path, inputs: list[int], outputs: list[int]) -> None:
    if len({*inputs, *outputs}) < len(inputs) + len(outputs):
        raise EngineError(
            f"{path}: litert: an output is nothing but an input or another output",
            hint="use --engine onnxruntime, which runs every file",
        )
