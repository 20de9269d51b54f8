"""Running a graph that is still in memory in ONNX Runtime, with all optimisations, as it ships."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, helper

from edgecnn.errors import GraphError

Array = NDArray[np.generic]


class Session:
    """A model, in memory or in a file, with its own outputs or some of its tensors instead.

    `threads` 0 lets ONNX Runtime choose. Raises GraphError where it refuses the graph.
    """

    def __init__(
        self,
        model: Path | ModelProto,
        outputs: Iterable[str] | None = None,
        *,
        threads: int = 0,
    ) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # Calls alternate with NumPy's work, during which spinning threads would burn the cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        data = str(model) if isinstance(model, Path) else _serialized(model, outputs)
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
        batch = self._input.shape[0] if self._input.shape else None
        if isinstance(batch, int) and batch > 1 and tensor.shape[0] == 1:
            tensor = np.repeat(tensor, batch, axis=0)
        return self.feed({self._input.name: tensor})

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


def _serialized(model: ModelProto, outputs: Iterable[str] | None) -> bytes:
    """The model's bytes, with these tensors as its only outputs, their types to be inferred.

    The model lends itself: a copy would double the memory that large weights take.
    """
    if outputs is None:
        return bytes(model.SerializeToString())
    own = list(model.graph.output)
    infos = [helper.make_empty_tensor_value_info(name) for name in outputs]
    try:
        del model.graph.output[:]
        model.graph.output.extend(infos)
        return bytes(model.SerializeToString())
    finally:
        del model.graph.output[:]
        model.graph.output.extend(own)


def _brief(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]
