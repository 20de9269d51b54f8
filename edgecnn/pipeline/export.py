"""The first arrow: a network in PyTorch, or an ONNX file of others, becomes a file of ours."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from edgecnn.contract import Contract, Preprocess
from edgecnn.datasets.natural import natural_images
from edgecnn.errors import FileError, UsageError
from edgecnn.files import check_writable, human_size, sha256_of
from edgecnn.graph.export import Exported, export_checked, import_checked
from edgecnn.onnxfile import read_header
from edgecnn.pipeline.boxes import describe_module, output_names
from edgecnn.pipeline.contracts import (
    ContractOptions,
    contract_of,
    read_labels,
)
from edgecnn.pipeline.naming import naming
from edgecnn.pipeline.narrator import Narrator, Silent
from edgecnn.pipeline.sources import Network, file_stem, load_network
from edgecnn.pipeline.writing import Draft, tool_versions, write_model
from edgecnn.runtime.preprocess import Tensor, preprocess

PARITY_IMAGES = 64


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """How to export; `weights` is official[:v1|:v2], a file, `random`, or None for the default."""

    weights: str | None = None
    batch: int | Literal["dynamic"] = 1
    opset: int = 17
    seed: int = 0
    images: int = PARITY_IMAGES
    contract: ContractOptions = field(default_factory=ContractOptions)


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What came of an export."""

    path: Path
    contract: Contract
    exported: Exported
    wall_s: float


def export(
    model: str,
    *,
    output: Path | None = None,
    options: ExportOptions | None = None,
    force: bool = False,
    narrator: Narrator | None = None,
) -> ExportResult:
    """Export a network by its name (see `sources`), or give an ONNX file its contract.

    Raises UsageError (no such model), WeightsError, and what `export_network` raises.
    """
    options, narrator = options or ExportOptions(), narrator or Silent()
    if model.lower().endswith(".onnx"):
        target = output or Path(f"{Path(model).stem}.edgecnn.onnx")
        check_target(target, force=force)
        return _export_file(Path(model), target, options, narrator)
    target = output or Path(f"{file_stem(model)}.onnx")
    check_target(target, force=force)
    network = load_network(
        model,
        weights=options.weights,
        seed=options.seed,
        contract=options.contract,
        narrator=narrator,
    )
    return export_network(network, target, options=options, narrator=narrator)


def export_network(
    network: Network,
    target: Path,
    *,
    options: ExportOptions | None = None,
    narrator: Narrator | None = None,
) -> ExportResult:
    """Export a network: nothing is written unless PyTorch and ONNX Runtime agree on its answers.

    Raises GraphError, ParityError or FileError.
    """
    options, narrator = options or ExportOptions(), narrator or Silent()
    started_s = time.perf_counter()
    recipe = _resized(network.preprocess, options.contract)
    detection = describe_module(network.module, recipe.size)
    exported = export_checked(
        network.module,
        input_shape=recipe.tensor_shape(),
        batch=options.batch,
        opset=options.opset,
        images=tuple(_natural(recipe, options.images)),
        outputs=output_names(detection),
    )
    given = options.contract.labels
    draft = Draft(
        preprocess=recipe,
        provenance=_provenance(network, exported, options),
        labels=read_labels(given) if given else (),
        default_labels=network.labels,
        detection=detection,
    )
    return _written(exported, target, draft, options, narrator, started_s)


def check_target(target: Path, *, force: bool, source: Path | None = None) -> None:
    """Refuse to write over a file, or where nothing can be written, before the work begins.

    Over `source`, which is read, nothing is ever written.
    """
    if source is not None and target.resolve() == source.resolve():
        raise UsageError(f"{target} would overwrite its own source", hint="name another: -o FILE")
    check_writable(target)
    if target.exists() and not force:
        raise FileError(
            f"{target} is already there", hint="--force overwrites it, -o names another"
        )


def _export_file(
    path: Path, target: Path, options: ExportOptions, narrator: Narrator
) -> ExportResult:
    if options.weights is not None:
        raise UsageError("--weights does not go with an ONNX file", hint="its weights are inside")
    if options.batch != 1 or options.opset != 17:
        raise UsageError(
            "--batch and --opset do not go with an ONNX file", hint="its graph has them already"
        )
    started_s = time.perf_counter()
    header = read_header(path)
    contract = contract_of(path, options.contract)
    narrator.line("model", f"{path}, opset {header.opset}, {human_size(path.stat().st_size)}")
    with naming(path):
        exported = import_checked(path, images=tuple(_natural(contract.preprocess, options.images)))
    given = {"source": f"file {path.name}", "sha256": sha256_of(path)}
    known = contract.provenance if "steps" in contract.provenance else {"weights": given}
    provenance = {
        **contract.provenance,
        **known,
        "tools": tool_versions("onnx", "onnxsim", "onnxruntime"),
        "steps": [*contract.provenance.get("steps", ()), _step(exported)],
    }
    draft = Draft(
        contract.preprocess,
        provenance,
        labels=contract.labels,
        detection=contract.detection,
        task=contract.task,
    )
    return _written(exported, target, draft, options, narrator, started_s)


def _written(
    exported: Exported,
    target: Path,
    draft: Draft,
    options: ExportOptions,
    narrator: Narrator,
    started_s: float,
) -> ExportResult:
    _tell(exported, options, narrator)
    contract = write_model(exported.model.SerializeToString(), target, draft)
    narrator.line("wrote", f"{target}  {human_size(target.stat().st_size)}")
    return ExportResult(target, contract, exported, time.perf_counter() - started_s)


def _resized(recipe: Preprocess, options: ContractOptions) -> Preprocess:
    """The weights' own preprocessing, at another resolution where `--size` says so."""
    if options.size is None:
        return recipe
    resize = recipe.resize and round(recipe.resize * max(options.size) / max(recipe.size))
    return dataclasses.replace(recipe, size=options.size, resize=resize)


def _provenance(network: Network, exported: Exported, options: ExportOptions) -> dict[str, Any]:
    provenance = {
        "model": network.name,
        "precision": "fp32",
        "weights": dict(network.weights),
        "tools": tool_versions("torch", "onnx", "onnxsim", "onnxruntime"),
        "steps": [_step(exported) | {"batch": options.batch}],
    }
    return provenance | ({"published": dict(network.published)} if network.published else {})


def _step(exported: Exported) -> dict[str, Any]:
    return {
        "step": "export",
        "exporter": exported.exporter,
        "opset": exported.opset,
        "nodes": [exported.nodes_before, exported.nodes_after],
        "parity": {
            "images": exported.parity.n,
            "max_abs_diff": exported.parity.max_abs_diff,
            "top1_equal": exported.parity.top1_equal,
        },
    }


def _natural(recipe: Preprocess, count: int) -> Iterator[Tensor]:
    """`count` procedural pictures, each drawn once and seen from four sides."""
    height, width = recipe.size
    drawn = natural_images(-(-count // 4), height=height, width=width, seed=1)
    sides = (
        side for image in drawn for side in (image, image[::-1], image[:, ::-1], image[::-1, ::-1])
    )
    return (preprocess(side, recipe) for side in islice(sides, count))


def _tell(exported: Exported, options: ExportOptions, narrator: Narrator) -> None:
    parity = exported.parity
    batch = f"batch {options.batch}, " if exported.exporter != "file" else ""
    narrator.line("export", f"opset {exported.opset}, {batch}{exported.exporter}")
    narrator.line("simplify", f"{exported.nodes_before} -> {exported.nodes_after} nodes")
    for note in exported.notes:
        narrator.warn(note)
    narrator.line(
        "parity",
        f"{parity.n} natural images: max |diff| {parity.max_abs_diff:.1e}, "
        f"top-1 equal on {parity.top1_equal} of {parity.n}",
    )
