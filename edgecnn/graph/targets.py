"""What each engine wants of an INT8 graph, as one table of data."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass

from edgecnn.errors import UsageError


@dataclass(frozen=True, slots=True)
class Target:
    """How a quantized graph is written for one engine on one kind of processor.

    An op type that stands nowhere here stays in float, between a DequantizeLinear and a
    QuantizeLinear.
    """

    name: str
    description: str
    weight_bits: int
    """7 keeps sums of two products inside 16 bits, for processors that would saturate them."""
    layers: frozenset[str]
    """Ops with weights: INT8 weights with a scale for each output channel, INT32 bias."""
    computed: frozenset[str]
    """Ops whose output gets a range of its own."""
    carried: frozenset[str]
    """Ops that only move or select values: their output has the scale of their input."""
    float_output: frozenset[str]
    """Layers that can give a float output when nobody reads it as integers."""

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
_ORT_LAYERS = frozenset({"Conv", "Gemm", "MatMul"})
_ORT_COMPUTED = frozenset(
    {"Add", "Mul", "Concat", "AveragePool", "GlobalAveragePool", "LeakyRelu", "Sigmoid"}
)
_ORT_CARRIED = frozenset(
    {"MaxPool", "Flatten", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"}
)

_X86 = Target(
    name="onnxruntime-x86",
    description="onnxruntime on x86-64 with VNNI (U8S8)",
    weight_bits=8,
    layers=_ORT_LAYERS,
    computed=_ORT_COMPUTED,
    carried=_ORT_CARRIED,
    float_output=frozenset({"Gemm", "MatMul"}),
)
_X86_AVX2 = Target(
    name="onnxruntime-x86-avx2",
    description="onnxruntime on x86-64 without VNNI (U8S8, 7-bit weights)",
    weight_bits=7,
    layers=_ORT_LAYERS,
    computed=_ORT_COMPUTED,
    carried=_ORT_CARRIED,
    float_output=frozenset({"Gemm", "MatMul"}),
)

TARGETS = {target.name: target for target in (_X86, _X86_AVX2)}


def find_target(name: str) -> Target:
    """The target of that name; raises UsageError with the nearest known one."""
    if name in TARGETS:
        return TARGETS[name]
    near = difflib.get_close_matches(name, TARGETS, n=1, cutoff=0.0)
    raise UsageError(f"unknown target {name!r}", hint=f"did you mean {near[0]}?")


def x86_target(cpu_flags: Collection[str]) -> Target:
    """The x86-64 target for a processor with these flags, as /proc/cpuinfo names them.

    Without VNNI the kernels add pairs of products in 16 bits, where 8-bit weights saturate.
    """
    has_vnni = not {"avx512_vnni", "avx_vnni"}.isdisjoint(cpu_flags)
    return _X86 if has_vnni else _X86_AVX2
