"""Names that say where in the network a node or a tensor comes from.

`/features/0/0/Conv` is the convolution of the module `features.0.0`, `/features/0/0/Conv_output_0`
its output, `features.0.0.weight` its weight as the state dict calls it. Two nodes of one type in
one module are told apart by a number, in the order in which they run.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Collection, Iterable

import onnx
from onnx import ModelProto, NodeProto

from edgecnn.errors import UsageError

Segments = tuple[str, ...]

_SCOPES_KEY = "pkg.torch.onnx.name_scopes"  # where the exporter notes the modules around a node
_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_LAYER_INPUTS = {1: "weight", 2: "bias"}


def name_graph(model: ModelProto, state_names: Collection[str]) -> None:
    """Give nodes, tensors and constants their readable names, in place.

    `state_names` are the names of the state dict; initialisers of these names keep them, as do the
    graph's inputs and outputs. A graph with subgraphs, which may read any name, is left as it is.
    """
    if _has_subgraphs(model):
        return
    paths = [_path(node, state_names) for node in model.graph.node]
    kept = _kept(model, state_names)
    names = _Names(kept)
    renamed: dict[str, str] = {}
    for node, path in zip(model.graph.node, paths, strict=True):
        node.name = names.new("/" + "/".join((*path, node.op_type)))
        for index, tensor in enumerate(node.output):
            if tensor and tensor not in kept:
                renamed[tensor] = names.new(f"{node.name}_output_{index}")
    _rename(model, renamed | _constant_names(model, paths, kept, names))


def name_constants(model: ModelProto, known: Collection[str]) -> None:
    """Name the initialisers that are not `known` after the node that reads them, in place.

    A graph with subgraphs, which may read any name, is left as it is.
    """
    if _has_subgraphs(model):
        return
    paths = [_path(node, known) for node in model.graph.node]
    tensors = {name for node in model.graph.node for name in node.output}
    kept = _kept(model, known)
    _rename(model, _constant_names(model, paths, kept, _Names(kept | tensors)))


def _has_subgraphs(model: ModelProto) -> bool:
    attributes = (item for node in model.graph.node for item in node.attribute)
    return any(item.type == onnx.AttributeProto.GRAPH for item in attributes)


def _kept(model: ModelProto, known: Collection[str]) -> set[str]:
    """The names in a model that stay: its inputs and outputs, and the known of its initialisers."""
    weights = {item.name for item in model.graph.initializer if item.name in known}
    return weights.union(info.name for info in (*model.graph.input, *model.graph.output))


class _Names:
    """Hands out names, each of them once."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def new(self, wanted: str) -> str:
        name, number = wanted, 0
        while name in self._taken:
            number += 1
            name = f"{wanted}_{number}"
        self._taken.add(name)
        return name


def _path(node: NodeProto, state_names: Collection[str]) -> Segments:
    """The module a node belongs to; for a layer that a batch norm was folded into, the layer."""
    if node.op_type in _LAYERS and len(node.input) > 1 and node.input[1] in state_names:
        module, _, parameter = node.input[1].rpartition(".")
        if parameter == "weight":
            return tuple(module.split(".")) if module else ()
    for entry in node.metadata_props:
        if entry.key == _SCOPES_KEY:
            # ['', 'features', 'features.0', 'conv2d']: the root, the modules, then the operator.
            scopes = ast.literal_eval(entry.value)
            return tuple(scopes[-2].split(".")) if len(scopes) > 1 and scopes[-2] else ()
    return _path_of_name(node.name)


def _path_of_name(name: str) -> Segments:
    """('features', '0') of '/features/0/Conv' and of TorchScript's '/features/features.0/Conv'."""
    if not name.startswith("/"):
        return ()
    path: list[str] = []
    before = ""
    for scope in name.split("/")[1:-1]:
        path.append(scope.removeprefix(f"{before}."))
        before = scope
    return tuple(path)


def _constant_names(
    model: ModelProto, paths: list[Segments], kept: Collection[str], names: _Names
) -> dict[str, str]:
    """`features.min` for what Clip nodes of several modules of `features` read as their `min`."""
    constants = {tensor.name for tensor in model.graph.initializer if tensor.name not in kept}
    opsets = {item.domain: item.version for item in model.opset_import}
    readers: dict[str, tuple[Segments, str]] = {}
    for node, path in zip(model.graph.node, paths, strict=True):
        for index, tensor in enumerate(node.input):
            if tensor in readers:
                shared, role = readers[tensor]
                readers[tensor] = (_common(shared, path), role)
            elif tensor in constants:
                readers[tensor] = (path, _role(node, index, opsets))
    return {tensor: names.new(".".join((*path, role))) for tensor, (path, role) in readers.items()}


def _role(node: NodeProto, index: int, opsets: dict[str, int]) -> str:
    """What an input of a node is called: 'bias' of a layer, else ONNX's own word."""
    if node.op_type in _LAYERS and index in _LAYER_INPUTS:
        return _LAYER_INPUTS[index]
    try:
        schema = onnx.defs.get_schema(node.op_type, opsets.get(node.domain, 1), node.domain)
    except onnx.defs.SchemaError:
        return f"{node.op_type}.{index}"
    return schema.inputs[min(index, len(schema.inputs) - 1)].name.lower()


def _common(left: Segments, right: Segments) -> Segments:
    shared = 0
    while shared < min(len(left), len(right)) and left[shared] == right[shared]:
        shared += 1
    return left[:shared]


def _rename(model: ModelProto, renamed: dict[str, str]) -> None:
    for node in model.graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                names[index] = renamed.get(name, name)
    for item in (*model.graph.initializer, *model.graph.value_info):
        item.name = renamed.get(item.name, item.name)


def strip_notes(model: ModelProto) -> None:
    """Drop what exporters note beside the graph, in place: stack traces with the paths of the
    exporting machine, documentation, and shapes that anyone can infer again.
    """
    graph = model.graph
    del graph.value_info[:], graph.quantization_annotation[:]
    for function in model.functions:
        del function.value_info[:]
    attributes = (item for node in graph.node for item in node.attribute)
    for part in (
        model, graph, *model.functions, *graph.node, *graph.initializer, *graph.input,
        *graph.output, *attributes,
    ):  # fmt: skip
        part.ClearField("doc_string")
        if hasattr(part, "metadata_props"):
            del part.metadata_props[:]


def check_names(model: ModelProto, layers: Iterable[str]) -> None:
    """Raise UsageError, with the nearest name there is, for a layer that a model does not have."""
    names = [node.name for node in model.graph.node]
    for name in layers:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
            raise UsageError(
                f"there is no layer {name!r} to keep in float", hint=f"did you mean {near[0]!r}?"
            )
