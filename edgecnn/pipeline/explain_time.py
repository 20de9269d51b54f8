"""Where the time of a run goes: the engine's layers, the nodes they came from, what would help."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgecnn.datasets.natural import natural_images
from edgecnn.graph.load import load_onnx
from edgecnn.graph.origins import origins
from edgecnn.graph.plan import LAYER_OPS
from edgecnn.graph.stem import FASTER_SO
from edgecnn.graph.wiring import Wiring, wiring
from edgecnn.onnxfile import read_header
from edgecnn.pipeline.audit import why_float
from edgecnn.pipeline.contracts import ContractOptions, contract_of
from edgecnn.pipeline.measure import PROFILE_IMAGES
from edgecnn.pipeline.provenance import float_layers, quantize_step
from edgecnn.runtime.layers import LayerTime, LayerTimes, check_profiled, layer_times
from edgecnn.runtime.loading import load

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

Sort = Literal["", "float", "reformat", "activation"]

_SCALING = ("QuantizeLinear", "DequantizeLinear")
_ACTIVATIONS = frozenset({
    "Relu", "Clip", "LeakyRelu", "PRelu", "Elu", "Selu", "Sigmoid", "HardSigmoid", "HardSwish",
    "Tanh", "Gelu", "Mish", "Softplus",
})  # fmt: skip
_GATES = ("Sigmoid", "HardSigmoid")
_ISLAND = "each brings a Q and a DQ with it, too: see reformat"
_REMEDIES = {FASTER_SO: "it stays: on integers it would take longer"}
_EDGE = 2  # layers at each end, among which the image and the answers change their type


@dataclass(frozen=True, slots=True)
class TimeOptions:
    """On which engine and how many threads; `contract` stands in for files that carry none."""

    engine: str = "onnxruntime"
    threads: int | None = None
    contract: ContractOptions = field(default_factory=ContractOptions)


@dataclass(frozen=True, slots=True)
class Row:
    """A layer of the engine: its time, its share of all, the nodes of the file, what is with it.

    `nodes` are names, the one with weights first; `sort` is empty for what should be there.
    """

    timed: LayerTime
    share: float
    nodes: tuple[str, ...]
    sort: Sort

    @property
    def name(self) -> str:
        """The node of the file that it came from, else the engine's own name."""
        return self.nodes[0] if self.nodes else self.timed.layer.name

    def document(self) -> dict[str, Any]:
        """As `--json` gives it."""
        layer = asdict(self.timed.layer)
        return {
            "name": self.name,
            "nodes": list(self.nodes),
            "engine_name": layer["name"],
            "kind": layer["kind"],
            "precision": layer["precision"],
            "time_ms": self.timed.time_ms,
            "share": self.share,
            "sort": self.sort,
        }


@dataclass(frozen=True, slots=True)
class Finding:
    """What some layers have in common, what they take together, and what to do about it."""

    sort: Sort
    layers: tuple[str, ...]
    time_ms: float
    cause: str
    remedy: str


@dataclass(frozen=True, slots=True)
class TimeExplanation:
    """The layers of a file on an engine, in the order in which they run, and what was found."""

    file: Path
    engine: str
    threads: int
    times: LayerTimes
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]

    def document(self) -> dict[str, Any]:
        """As `--json` gives it."""
        times = self.times
        return {
            "format": 1,
            "file": str(self.file),
            "engine": self.engine,
            "threads": self.threads,
            "run_ms": times.run_ms,
            "profiled_ms": times.profiled_ms,
            "layers_ms": times.layers_ms,
            "runs": times.runs,
            "layers": [row.document() for row in self.rows],
            "findings": [asdict(finding) for finding in self.findings],
        }


def explain_time(file: Path, *, options: TimeOptions | None = None) -> TimeExplanation:
    """Time a file layer by layer on procedural photographs.

    Raises what loading it raises; EngineError where the engine's profiler is not read.
    """
    options = options or TimeOptions()
    if options.engine != "auto":
        check_profiled(options.engine)  # before minutes go into building it
    contract = contract_of(file, options.contract)
    height, width = contract.preprocess.size
    images = natural_images(PROFILE_IMAGES, height=height, width=width, seed=2)
    loaded = load(
        file,
        engine=options.engine,
        threads=options.threads,
        contract=contract,
        wait=True,
        check=False,
    )
    with loaded as model:
        times = layer_times(model, [model.preprocess(image) for image in images])
        engine, facts = model.engine.name, model.facts
    graph = load_onnx(file)
    explained = _Explained(graph, times, quantized=read_header(file).computes_integers)
    why = _why(graph, file, engine)
    return TimeExplanation(
        file=file,
        engine=facts["engine"],
        threads=int(facts["threads"]),
        times=times,
        rows=explained.rows,
        findings=tuple(explained.findings(why)),
    )


def _why(graph: ModelProto, file: Path, engine: str) -> Callable[[NodeProto], str]:
    edges, step = wiring(graph), quantize_step(file)
    left = float_layers(step)
    return lambda node: why_float(node, edges, step=step, left=left, engine=engine)


class _Explained:
    """The layers of one run beside the nodes of the file."""

    def __init__(self, graph: ModelProto, times: LayerTimes, *, quantized: bool) -> None:
        self._edges, self._quantized = wiring(graph), quantized
        self._nodes = origins(graph, [timed.layer.origins for timed in times.layers])
        whole = times.layers_ms or 1.0
        self.rows = tuple(
            Row(
                timed,
                timed.time_ms / whole,
                tuple(node.name or node.output[0] for node in nodes),
                self._sort(timed, nodes),
            )
            for timed, nodes in zip(times.layers, self._nodes, strict=True)
        )

    def findings(self, why: Callable[[NodeProto], str]) -> Iterator[Finding]:
        """What can be done, by what it costs, the dearest first."""
        found = [*self._floats(why), *self._activations(), *self._reformats()]
        yield from sorted(found, key=lambda finding: -finding.time_ms)

    def _sort(self, timed: LayerTime, nodes: Sequence[NodeProto]) -> Sort:
        layer = timed.layer
        plain = [node for node in nodes if node.op_type not in _SCALING]
        has_weights = any(node.op_type in LAYER_OPS for node in plain)
        if layer.is_reformat and not any(node.op_type == layer.kind for node in plain):
            return "reformat"
        if not has_weights and (
            layer.kind in _ACTIVATIONS or any(_is_activation(node, self._edges) for node in plain)
        ):
            return "activation"
        if nodes and not plain:
            return "reformat"
        return "float" if self._quantized and layer.precision not in ("int8", "") else ""

    def _floats(self, why: Callable[[NodeProto], str]) -> Iterator[Finding]:
        """One finding for each reason why layers are in float."""
        reasons: dict[str, list[int]] = {}
        for index, row in enumerate(self.rows):
            if row.sort == "float":
                reasons.setdefault(self._reason(index, why), []).append(index)
        for reason, places in reasons.items():
            yield self._finding("float", places, reason, _REMEDIES.get(reason, _ISLAND))

    def _reason(self, place: int, why: Callable[[NodeProto], str]) -> str:
        nodes = self._nodes[place]
        if nodes and nodes[0].op_type in LAYER_OPS:
            return why(nodes[0])
        return f"{self._kind(place)} runs in float"

    def _kind(self, place: int) -> str:
        """The file's operator, else the engine's."""
        nodes = self._nodes[place]
        return nodes[0].op_type if nodes else self.rows[place].timed.layer.kind

    def _activations(self) -> Iterator[Finding]:
        places = self._places("activation")
        if places:
            kinds = dict.fromkeys(
                nodes[0].op_type
                if (nodes := self._nodes[place])
                else self.rows[place].timed.layer.kind
                for place in places
            )
            cause = f"{', '.join(kinds)} run by themselves, after the layer before them"
            remedy = (
                "another engine may make them a part of it: edgecnn compile FILE --engine auto; "
                "trained with ReLU or ReLU6, the network has no such layers"
            )
            yield self._finding("activation", places, cause, remedy)

    def _reformats(self) -> Iterator[Finding]:
        last = len(self.rows) - _EDGE
        inner: list[int] = []
        ends: list[int] = []
        for place in self._places("reformat"):
            (inner if _EDGE <= place < last else ends).append(place)
        if ends:
            cause = "the image and the answers change their type or their layout"
            yield self._finding("reformat", ends, cause, "they stay: floats go in and come out")
        if inner:
            cause = "values change their type or their layout between layers"
            remedy = "they go with what stands in float or in another layout beside them"
            yield self._finding("reformat", inner, cause, remedy)

    def _places(self, sort: Sort) -> list[int]:
        return [index for index, row in enumerate(self.rows) if row.sort == sort]

    def _finding(self, sort: Sort, places: Sequence[int], cause: str, remedy: str) -> Finding:
        rows = [self.rows[place] for place in places]
        time_ms = sum(row.timed.time_ms for row in rows)
        return Finding(sort, tuple(row.name for row in rows), time_ms, cause, remedy)


def _is_activation(node: NodeProto, edges: Wiring) -> bool:
    """Whether it is one, or the product that makes SiLU and HardSwish out of a gate."""
    if node.op_type in _ACTIVATIONS:
        return True
    return node.op_type == "Mul" and any(_is_gate(name, edges) for name in node.input)


def _is_gate(tensor: str, edges: Wiring) -> bool:
    node = edges.producers.get(tensor)
    while node is not None and node.op_type in _SCALING:
        node = edges.producers.get(node.input[0])
    return node is not None and node.op_type in _GATES
