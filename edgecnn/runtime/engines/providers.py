"""ONNX Runtime's execution providers by the names that people use: `onnxruntime:cuda`."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.errors import UsageError

ONNXRUNTIME = "onnxruntime"
CPU_MAY_HELP = "+cpu"
# Name in `--engine` -> ONNX Runtime's name.
PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "xnnpack": "XnnpackExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "qnn": "QNNExecutionProvider",
}
_PACKAGES = {
    "cuda": "onnxruntime-gpu",
    "tensorrt": "onnxruntime-gpu",
    "openvino": "onnxruntime-openvino",
    "qnn": "onnxruntime-qnn",
}


@dataclass(frozen=True, slots=True)
class Provider:
    """One execution provider, and whether the CPU may run what it does not take.

    `name` is `cuda` or the like, `full_name` `CUDAExecutionProvider`.
    """

    name: str
    full_name: str
    cpu_may_help: bool = False

    @property
    def engine(self) -> str:
        """As `--engine` names it."""
        return f"{ONNXRUNTIME}:{self.name}{CPU_MAY_HELP if self.cpu_may_help else ''}"

    @property
    def install(self) -> str:
        """How to get an ONNX Runtime that has it."""
        if self.name in _PACKAGES:
            return f"pip install {_PACKAGES[self.name]}, in place of onnxruntime"
        return "ONNX Runtime must be built with it, for its platform"


def find_provider(engine: str) -> Provider:
    """The provider that `onnxruntime:NAME` or `onnxruntime:NAME+cpu` names; raises UsageError."""
    name = engine.removeprefix(f"{ONNXRUNTIME}:")
    plain = name.removesuffix(CPU_MAY_HELP)
    if plain not in PROVIDERS:
        known = ", ".join(f"{ONNXRUNTIME}:{known}" for known in PROVIDERS)
        raise UsageError(f"unknown provider {plain!r} of onnxruntime", hint=f"one of: {known}")
    return Provider(plain, PROVIDERS[plain], cpu_may_help=plain != name)
