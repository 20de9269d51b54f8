"""What of an INT8 file an engine really computes in INT8, and why not the rest."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.errors import EngineError, GraphError
from edgecnn.graph.load import load_onnx
from edgecnn.graph.origins import origins
from edgecnn.graph.plan import LAYER_OPS
from edgecnn.graph.saturation import local_target
from edgecnn.graph.stem import FASTER_SO, is_float_stem
from edgecnn.graph.targets import TARGETS
from edgecnn.graph.wiring import Wiring, wiring
from edgecnn.onnxfile import model_sha256, read_header
from edgecnn.pipeline.provenance import float_layers, quantize_step
from edgecnn.runtime.engines.base import Layer
from edgecnn.runtime.engines.providers import ONNXRUNTIME
from edgecnn.runtime.layers import TOLD, layers_of

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_INTEGER = "int8"


@dataclass(frozen=True, slots=True)
class FloatLayer:
    """A layer with weights that is not computed in INT8: the node of the file, and why."""

    name: str
    kind: str
    precision: str
    why: str


@dataclass(frozen=True, slots=True)
class Audit:
    """How many of a file's layers with weights an engine computes in INT8, and which it does not.

    `engine_layers` counts all that the engine runs, so that what it adds can be seen.
    """

    integer: int
    layers: int
    engine_layers: int
    floats: tuple[FloatLayer, ...]

    def told(self) -> Iterator[str]:
        """The count, then each layer in float."""
        yield f"{self.integer} of {self.layers} layers with weights run in INT8"
        for layer in self.floats:
            yield f"{layer.name} ({layer.kind}) in {layer.precision.upper()}: {layer.why}"

    def document(self) -> dict[str, Any]:
        """As `--json` gives it."""
        return asdict(self)


def audit(file: Path, *, engine: str) -> Audit | None:
    """Look at what an engine made of an INT8 file.

    None for a file that is computed in floats, for an engine that does not tell, and for a graph
    that is none of Q, DQ and layers around one image. Raises what compiling the file raises.
    """
    if engine not in TOLD or not read_header(file).computes_integers:
        return None
    with contextlib.suppress(GraphError, EngineError):  # it was built: that much is sure
        model = load_onnx(file)
        layers = layers_of(file, engine=engine, sha256=model_sha256(file))
        found = compare(model, layers, step=quantize_step(file), engine=engine)
        return found if found.layers else None
    return None


def compare(
    model: ModelProto, layers: Sequence[Layer], *, step: Mapping[str, Any], engine: str
) -> Audit:
    """The audit of an INT8 graph and the layers that an engine made of it."""
    weighted = [node for node in model.graph.node if node.op_type in LAYER_OPS]
    computed = _precisions(model, layers)
    edges, left = wiring(model), float_layers(step)
    floats = tuple(
        FloatLayer(
            node.name or node.output[0],
            node.op_type,
            computed.get(node.output[0]) or "another precision",
            why_float(node, edges, step=step, left=left, engine=engine),
        )
        for node in weighted
        if computed.get(node.output[0]) != _INTEGER
    )
    return Audit(len(weighted) - len(floats), len(weighted), len(layers), floats)


def why_float(
    node: NodeProto,
    edges: Wiring,
    *,
    step: Mapping[str, Any],
    left: Sequence[str],
    engine: str,
) -> str:
    """Why a layer of an INT8 file is computed in float."""
    if node.name in left:
        target = TARGETS.get(str(step.get("target")))
        stem = target is not None and is_float_stem(node, edges, target)
        return FASTER_SO if stem else "quantize left it in float"
    sources = [edges.producers.get(name) for name in node.input[:2]]
    if not all(source and source.op_type == "DequantizeLinear" for source in sources):
        return "float in the file"
    made_for, here = step.get("target"), local_target().name
    if engine == ONNXRUNTIME and made_for not in (None, here):
        return f"the file is for {made_for}; here: edgecnn quantize --target {here}"
    return f"INT8 in the file, but {engine} has no integer kernel for it as it stands there"


def _precisions(model: ModelProto, layers: Sequence[Layer]) -> dict[str, str]:
    """By its output's name, what each layer with weights is computed in."""
    found: dict[str, str] = {}
    came_from = origins(model, [layer.origins for layer in layers])
    for layer, nodes in zip(layers, came_from, strict=True):
        for node in nodes:
            if node.op_type in LAYER_OPS and not layer.is_reformat:
                found[node.output[0]] = layer.precision
    return found
