"""Running a graph that is still in memory in ONNX Runtime, with all optimisations, as it ships."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgecnn.errors import GraphError

Array = NDArray[np.generic]
_Kind = TypeVar("_Kind", bound=np.generic)

_HEAVY_ELEMENTS = 1 << 18


class Session:
    """A model, in memory or in a file, with its own outputs or some of its tensors instead.

    `threads` 0 lets ONNX Runtime choose; `frugal` gives back after each run the memory that it
    took, for sessions that are many or give many tensors. Raises GraphError where ONNX Runtime
    refuses the graph.
    """

    def __init__(
        self,
        model: Path | ModelProto,
        outputs: Iterable[str] | None = None,
        *,
        threads: int = 0,
        frugal: bool = False,
    ) -> None:
        options = ort.SessionOptions()
        options.enable_cpu_mem_arena = not frugal
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # Calls alternate with NumPy's work, during which spinning threads would burn the cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        data: str | bytes = str(model) if isinstance(model, Path) else b""
        # They belong to the caller of ONNX Runtime, who must keep them as long as the session.
        self._heavy: dict[str, ort.OrtValue] = {}
        if isinstance(model, ModelProto):
            bare, self._heavy = _without_heavy(model, outputs)
            data = bare.SerializeToString()
            options.add_external_initializers(list(self._heavy), list(self._heavy.values()))
        try:
            self._session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises classes of its own, with no common root
            raise GraphError(
                f"ONNX Runtime refuses the graph: {_brief(error)}", hint="simplify or export again"
            ) from error
        self._input = self._session.get_inputs()[0]
        self.names = tuple(output.name for output in self._session.get_outputs())

    def run(self, tensor: Array) -> list[Array]:
        """All outputs, in the order of `names`, for one image of shape (1, ...).

        A model with a larger fixed batch gets the image that many times.
        """
        return self.feed({self._input.name: self.batched(tensor)})

    def batched(self, tensor: NDArray[_Kind]) -> NDArray[_Kind]:
        """One image as often as the model's fixed batch wants it."""
        batch = self._input.shape[0] if self._input.shape else None
        if isinstance(batch, int) and batch > 1 and tensor.shape[0] == 1:
            return np.repeat(tensor, batch, axis=0)
        return tensor

    def feed(self, tensors: Mapping[str, Array]) -> list[Array]:
        """All outputs for inputs given by name, each with the batch that the model has."""
        try:
            outputs: Sequence[Array] = self._session.run(None, dict(tensors))
        except Exception as error:
            shapes = ", ".join(str(tensor.shape) for tensor in tensors.values())
            raise GraphError(
                f"the model does not run on a tensor of shape {shapes}: {_brief(error)}",
                hint="check the size that its contract gives",
            ) from error
        return list(outputs)


def _without_heavy(
    model: ModelProto, outputs: Iterable[str] | None
) -> tuple[ModelProto, dict[str, ort.OrtValue]]:
    """The model with its heavy weights beside it; `outputs`, if given, are its only outputs.

    Inside the model each weight would be copied three times on its way into the session, by
    writing, by parsing and by unpacking: seconds and gigabytes for VGG16.
    """
    bare = ModelProto(
        ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions
    )
    graph = bare.graph
    graph.name = model.graph.name
    for field in ("node", "input", "value_info", "sparse_initializer"):
        getattr(graph, field).extend(getattr(model.graph, field))
    infos = (helper.make_empty_tensor_value_info(name) for name in outputs or ())
    graph.output.extend(model.graph.output if outputs is None else infos)
    heavy = {}
    for tensor in model.graph.initializer:
        if tensor.HasField("raw_data") and math.prod(tensor.dims) > _HEAVY_ELEMENTS:
            heavy[tensor.name] = ort.OrtValue.ortvalue_from_numpy(numpy_helper.to_array(tensor))
            graph.initializer.append(_elsewhere(tensor))
        else:
            graph.initializer.append(tensor)
    return bare, heavy


def _elsewhere(tensor: TensorProto) -> TensorProto:
    """The same tensor with its values outside the model."""
    bare = TensorProto(
        name=tensor.name,
        data_type=tensor.data_type,
        dims=tensor.dims,
        data_location=TensorProto.EXTERNAL,
    )
    bare.external_data.add(key="location", value="lent")
    return bare


def _brief(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]
