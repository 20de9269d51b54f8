"""What each engine wants of an INT8 graph, as one table of data."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace

from edgecnn.errors import UsageError
from edgecnn.graph.integers import INT8, INT8_SYMMETRIC, UINT8, Integers


@dataclass(frozen=True, slots=True)
class Target:
    """How a quantized graph is written for one engine on one kind of processor.

    An op type that stands nowhere here stays in float, between a DequantizeLinear and a
    QuantizeLinear.
    """

    name: str
    description: str
    layers: frozenset[str]
    """Ops with weights, which become INT8."""
    computed: frozenset[str]
    """Ops whose output gets a range of its own."""
    carried: frozenset[str]
    """Ops that only move or select values: their output has the scale of their input."""
    float_output: frozenset[str]
    """Ops that can give a float output when nobody reads it as integers."""
    per_channel: bool = True
    """Weights have a scale for each output channel; without it one for the whole tensor."""
    weight_bits: int = 8
    """7 keeps sums of two products inside 16 bits, for processors that would saturate them."""
    activations: Integers = UINT8
    integer_bias: bool = True
    """INT32 at the scale of input times weight; without it the bias stays float."""
    fuses_sums: bool = False
    """An Add takes what one layer before it gives as floats and becomes a part of that layer."""
    equal_scales: bool = False
    """A Concat wants its inputs and its output at one scale."""
    float_stem: bool = False
    """A narrow first convolution that halves the image is faster in float."""
    opset_17: bool = False
    """Written in opset 17 where that has the words, however new the float file is."""
    shifts: bool = False
    """What only unpadded layers read may be stored less a constant, which their biases return."""

    @property
    def integers(self) -> frozenset[str]:
        """Every op type that runs on integers."""
        return self.layers | self.computed | self.carried

    @property
    def largest_weight(self) -> int:
        """The largest magnitude of a quantized weight."""
        return (1 << (self.weight_bits - 1)) - 1


# Which ops ONNX Runtime fuses with the Q and DQ around them:
# onnxruntime/core/optimizer/qdq_transformer/selectors_actions/qdq_selector_action_transformer.cc
_LAYERS = frozenset({"Conv", "Gemm", "MatMul"})
_COMPUTED = frozenset(
    {"Add", "Mul", "Concat", "AveragePool", "GlobalAveragePool", "LeakyRelu", "Sigmoid"}
)
_CARRIED = frozenset(
    {"MaxPool", "Flatten", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"}
)

_X86 = Target(
    name="onnxruntime-x86",
    description="onnxruntime on x86-64 with VNNI (U8S8)",
    layers=_LAYERS,
    computed=_COMPUTED,
    carried=_CARRIED,
    # A mean over integers is finer than one of them: as an answer it stays in float.
    float_output=frozenset({"Gemm", "MatMul", "GlobalAveragePool"}),
    float_stem=True,
)
_X86_AVX2 = replace(
    _X86,
    name="onnxruntime-x86-avx2",
    description="onnxruntime on x86-64 without VNNI (U8S8, 7-bit weights)",
    weight_bits=7,
    float_stem=False,
)
_ARM = replace(
    _X86,
    name="onnxruntime-arm",
    description="onnxruntime on 64-bit Arm (S8S8)",
    activations=INT8,
    float_stem=False,
)
_OPENVINO = replace(
    _X86,
    name="openvino",
    description="OpenVINO on x86-64 (U8S8)",
    computed=_COMPUTED - {"LeakyRelu", "Sigmoid"},
    float_stem=False,
)
# https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/work-quantized-types.html,
# "Q/DQ Placement Recommendations": inputs of layers with weights are quantized, their outputs only
# where somebody reads integers; of a sum the residual input is; point-wise functions stay outside.
_TENSORRT_COMPUTED = frozenset({"Add", "Concat", "AveragePool", "GlobalAveragePool"})
_TENSORRT = Target(
    name="tensorrt",
    description="TensorRT (S8, zero point 0, float bias)",
    layers=_LAYERS,
    computed=_TENSORRT_COMPUTED,
    carried=_CARRIED,
    float_output=_LAYERS | _TENSORRT_COMPUTED,
    activations=INT8_SYMMETRIC,
    integer_bias=False,
    fuses_sums=True,
    equal_scales=True,
    opset_17=True,  # 8.6 reads no newer, and 10.3 fails with INT8 of 19 on Orin (TensorRT#4797)
    shifts=True,
)

TARGETS = {target.name: target for target in (_X86, _X86_AVX2, _ARM, _OPENVINO, _TENSORRT)}


def find_target(name: str) -> Target:
    """The target of that name; raises UsageError with the nearest known one."""
    if name in TARGETS:
        return TARGETS[name]
    near = difflib.get_close_matches(name, TARGETS, n=1, cutoff=0.0)
    raise UsageError(f"unknown target {name!r}", hint=f"did you mean {near[0]}?")
