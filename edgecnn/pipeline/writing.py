"""The last stroke under a written file: its contract, labels and golden check."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.contract import Contract, Golden, Preprocess, Task, TensorSpec
from edgecnn.datasets.natural import natural_images
from edgecnn.detection import Detection
from edgecnn.errors import UsageError
from edgecnn.files import write_error
from edgecnn.onnxfile import read_header, write_contract
from edgecnn.pipeline.contracts import task_of
from edgecnn.runtime.engines.ort import open_graph
from edgecnn.runtime.fit import class_count
from edgecnn.runtime.golden import make_golden
from edgecnn.runtime.model import Model
from edgecnn.runtime.preprocess import Image

_GOLDEN_CANDIDATES = 24
_GOLDEN_SIDE = 48


@dataclass(frozen=True, slots=True)
class Draft:
    """What a step knows of a contract before its file is written.

    `labels` must fit the network's classes; `default_labels` are taken where they fit. Without a
    `task` it is the one that the outputs look like.
    """

    preprocess: Preprocess
    provenance: Mapping[str, Any]
    labels: tuple[str, ...] = ()
    default_labels: tuple[str, ...] = ()
    detection: Detection | None = None
    task: Task | None = None


def write_model(model: bytes, target: Path, draft: Draft) -> Contract:
    """Write a graph with its contract, golden check included; returns the contract written.

    The golden answer comes from the very bytes that are written, on the runtime's engine.
    Raises FileError; nothing half-written stays behind.
    """
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as scratch:
        graph = Path(scratch) / "model.onnx"
        _write_bytes(graph, model)
        header = read_header(graph)
        contract = Contract(
            inputs=header.inputs,
            outputs=header.outputs,
            preprocess=draft.preprocess,
            labels=_fitting_labels(draft, header.outputs[0], source=target.name),
            provenance=draft.provenance,
            task=draft.task or task_of(header.outputs, draft.detection),
            detection=draft.detection,
        )
        contract = dataclasses.replace(contract, golden=_golden(graph, contract))
        write_contract(graph, target, contract)
    return contract


def _write_bytes(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise write_error(path, error) from error


def _fitting_labels(draft: Draft, output: TensorSpec, *, source: str) -> tuple[str, ...]:
    # Of a detector too: the first output holds the scores.
    classes = class_count(output)
    if classes is None or len(draft.labels) == classes:
        return draft.labels
    if draft.labels:
        raise UsageError(
            f"{source}: {len(draft.labels)} labels for {classes} classes",
            hint="give the right file: --labels FILE, one name a line",
        )
    return draft.default_labels if len(draft.default_labels) == classes else ()


def _golden(graph: Path, contract: Contract) -> Golden:
    engine = open_graph(graph, graph="not cached", threads=1)
    with Model(graph, contract=contract, engine=engine, sha256="") as model:
        precision = str(contract.provenance.get("precision", "fp32"))
        return make_golden(_candidates(contract), model.logits, precision=precision)


def _candidates(contract: Contract) -> list[Image]:
    side = min(_GOLDEN_SIDE, *contract.preprocess.size)
    # No pixel of a map leads by anything: one image serves as well as another.
    count = 1 if contract.task == "segmentation" else _GOLDEN_CANDIDATES
    return [
        np.ascontiguousarray(image)
        for image in natural_images(count, height=side, width=side, seed=0)
    ]


def tool_versions(*packages: str) -> dict[str, str]:
    """The versions of the packages that made a file, for its provenance."""
    found = {"edgecnn": importlib.metadata.version("edgecnn")}
    for package in packages:
        found[package] = importlib.metadata.version(package)
    return found


def next_draft(
    contract: Contract,
    step: Mapping[str, Any],
    *,
    precision: str,
    calibration: Mapping[str, Any] | None = None,
) -> Draft:
    """What is known of a file that `step` made from the one with this contract."""
    known = contract.provenance
    learnt = {} if calibration is None else {"calibration": calibration}
    provenance = {
        **known,
        **learnt,
        "precision": precision,
        "tools": {**known.get("tools", {}), **tool_versions("onnx", "onnxruntime", "numpy")},
        "steps": [*known.get("steps", ()), step],
    }
    return Draft(
        contract.preprocess,
        provenance,
        labels=contract.labels,
        detection=contract.detection,
        task=contract.task,
    )
