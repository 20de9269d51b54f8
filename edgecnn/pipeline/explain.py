"""Why an INT8 file loses accuracy: layer by layer, against the float file that it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.contract import Contract
from edgecnn.datasets.inputs import read_input
from edgecnn.datasets.listing import listed_images
from edgecnn.errors import GraphError, ModelError
from edgecnn.files import sha256_of
from edgecnn.graph.causes import Cause, explain
from edgecnn.graph.fold import fold
from edgecnn.graph.latency import Extra
from edgecnn.graph.load import load_onnx
from edgecnn.graph.normal import read_model
from edgecnn.graph.ranges import MIXED
from edgecnn.graph.rescue import Rescue
from edgecnn.graph.saturation import local_target
from edgecnn.graph.sensitivity import LayerError
from edgecnn.graph.targets import TARGETS, find_target
from edgecnn.onnxfile import has_contract, read_header
from edgecnn.pipeline.contracts import ContractOptions, contract_of
from edgecnn.pipeline.narrator import Narrator, Silent
from edgecnn.pipeline.provenance import float_layers, quantize_step
from edgecnn.pipeline.ranking import ranking_on
from edgecnn.pipeline.scheduler import Scheduler
from edgecnn.runtime.preprocess import Tensor, preprocess

DEFAULT_IMAGES = 32
DEFAULT_TOP = 10

_PRICED = 5  # layers: each takes a good part of a second
_SEARCHED = ("auto", MIXED, "mse")  # methods that weigh rounding against clipping already


@dataclass(frozen=True, slots=True)
class ExplainOptions:
    """The float file, images (labels are not looked at), how many of them, how many rows.

    With a `scheduler` the images are shared out among its workers.
    """

    against: Path
    data: Path
    images: int = DEFAULT_IMAGES
    top: int = DEFAULT_TOP
    contract: ContractOptions = field(default_factory=ContractOptions)
    scheduler: Scheduler | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A layer: its error, the cause, what would help, and what that costs where it was measured.

    `share` is its part of all errors that layers add, 0..1; `kept_float` are the nodes that the
    remedy leaves in float.
    """

    error: LayerError
    share: float
    cause: Cause
    remedy: str | None
    kept_float: tuple[str, ...] = ()
    price: Extra | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The layers that add most error, worst first, out of `layers`; `images` images were run."""

    file: Path
    against: Path
    images: int
    layers: int
    accumulated_db: float
    rows: tuple[Row, ...]

    def document(self) -> dict[str, Any]:
        """As `--json` gives it."""
        return {
            "format": 1,
            "file": str(self.file),
            "against": str(self.against),
            "images": self.images,
            "layers": self.layers,
            "accumulated_db": round(-self.accumulated_db, 2),
            "rows": [_row_document(row) for row in self.rows],
        }


def explain_accuracy(
    file: Path, *, options: ExplainOptions, narrator: Narrator | None = None
) -> Explanation:
    """Compare a quantized file with its float file on images, layer by layer.

    Raises GraphError where the two do not belong together or the file is not quantized in the QDQ
    format, ModelError and DataError for files and images that cannot be used.
    """
    narrator = narrator or Silent()
    ranking = ranking_on(options.scheduler, narrator)
    if read_header(options.against).quantized:
        raise ModelError(
            f"{options.against}: it is quantized itself", hint="--against takes the float file"
        )
    contract = _prepared(file, options)
    step = quantize_step(file)
    _check_source(file, step, options.against, narrator)
    tensors = list(_tensors(options, contract, narrator))
    model, quantized = fold(read_model(options.against)), load_onnx(file)
    try:
        errors = ranking(model, quantized, tensors)
    except GraphError as error:
        raise GraphError(f"{file}: {error}", hint=error.hint) from error
    worst = sorted(errors, key=lambda error: -_own(error))[: options.top]
    whole = sum(_own(error) for error in errors) or 1.0
    name = step.get("target")
    target = find_target(name) if name in TARGETS else local_target()
    search = Rescue(model, quantized, target, errors, kept=float_layers(step))
    rows = [_row(error, _own(error) / whole, step) for error in worst]
    return Explanation(
        file=file,
        against=options.against,
        images=len(tensors),
        layers=sum(bool(error.layers) for error in errors),
        accumulated_db=errors[-1].accumulated_db,
        rows=tuple(_priced(rows, search, tensors[0], narrator)),
    )


def _own(error: LayerError) -> float:
    return error.weight + error.activation


def _prepared(file: Path, options: ExplainOptions) -> Contract:
    """How images are prepared: as the float file says, else as the INT8 file made of it does."""
    carries = has_contract(options.against) or options.contract.given
    return contract_of(options.against if carries else file, options.contract)


def _check_source(file: Path, step: Mapping[str, Any], against: Path, narrator: Narrator) -> None:
    wanted = step.get("source_sha256")
    if wanted is not None and wanted != sha256_of(against):
        narrator.warn(f"{file} was made from another file than {against}: names are what matches")


def _tensors(options: ExplainOptions, contract: Contract, narrator: Narrator) -> Iterator[Tensor]:
    """Images spread evenly over the data, in the network's batch size."""
    paths = listed_images(options.data)
    count = min(options.images, len(paths))
    batch = contract.inputs[0].batch or 1
    with narrator.progress("images") as progress:
        for index in range(count):
            path = paths[index * len(paths) // count]
            tensor = preprocess(read_input(path, contract.preprocess), contract.preprocess)
            yield np.repeat(tensor, batch, axis=0) if batch > 1 else tensor
            progress(index + 1, count)


def _row(error: LayerError, share: float, step: Mapping[str, Any]) -> Row:
    cause = explain(error)
    return Row(error, share, cause, _remedy(cause, step))


def _remedy(cause: Cause, step: Mapping[str, Any]) -> str | None:
    """What the tool would do about it, next to what was done already."""
    if cause.remedy == "none":
        return None
    if cause.remedy == "per-channel":
        return "edgecnn quantize: a scale for each channel"
    if cause.remedy == "repair" and step.get("effort") in (None, "fast"):
        return "edgecnn quantize --effort default: rounding by reconstruction, bias correction"
    if cause.remedy == "range" and step.get("method") not in _SEARCHED:
        return "edgecnn quantize --method auto: the range with the least error"
    return "--keep-float"


def _priced(
    rows: Sequence[Row], search: Rescue, image: Tensor, narrator: Narrator
) -> Iterator[Row]:
    """The first rows with what it costs to leave them in float."""
    with narrator.progress("prices") as progress:
        for place, row in enumerate(rows):
            names = search.cure(row.error) if row.remedy else ()
            if place >= _PRICED or not names or search.noise(names) is None:
                yield row
                continue
            price = search.price(names, image)
            yield Row(row.error, row.share, row.cause, row.remedy, names, price)
            progress(place + 1, min(_PRICED, len(rows)))


def _row_document(row: Row) -> dict[str, Any]:
    error = row.error
    return {
        "layer": error.name,
        "tensor": error.tensor,
        "error_here_db": round(-error.here_db, 2),
        "accumulated_db": round(-error.accumulated_db, 2),
        "share": round(row.share, 4),
        "weight_error": error.weight,
        "activation_error": error.activation,
        "clipped_share": round(error.clipped_share, 6),
        "weight_range": _spread(error.weights),
        "output_range": _spread(error.outputs),
        "cause": row.cause.text,
        "remedy": row.remedy,
        "keep_float": list(row.kept_float),
        "keep_float_ms": None if row.price is None else round(row.price.extra_ms, 4),
    }


def _spread(spread: Any) -> dict[str, Any] | None:
    if spread is None:
        return None
    return {"channel": spread.channel, "times_median": round(spread.times, 2)}
