"""Claim: every network of the zoo exports, agrees with PyTorch, quantizes and proves itself.

    make zoo        or        python -m benchmarks.zoo [NAME...]

Full size, random weights. Each network's result stays in zoo-output/NAME.json, so that a sweep that
was interrupted goes on where it stopped; a result counts only for the code that it was made with.
In the end the table of docs/zoo.md is written as the code has it.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import edgecnn
from edgecnn.cli.speak import Speaker
from edgecnn.errors import EdgecnnError
from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.export import ExportOptions, export
from edgecnn.pipeline.quantize import QuantizeOptions, quantize
from edgecnn.runtime import load
from edgecnn.zoo import find, names
from edgecnn.zoo.describe import describe
from edgecnn.zoo.page import renew

OUTPUT = Path("zoo-output")
PAGE = Path(__file__).parents[1] / "docs" / "zoo.md"
PARITY_IMAGES = 4
HEAVY_PARAMETERS = 30_000_000  # two of the largest at once need twenty gigabytes
# glibc gives large blocks back to the kernel at once, and half of VGG's time is clearing them anew.
KEEP_FREED_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}

Result = dict[str, Any]


@cache
def code_sha256() -> str:
    """Of all the package's modules: what a result depends on."""
    digest = hashlib.sha256()
    for path in sorted(Path(edgecnn.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def known(name: str) -> Result | None:
    """The result of an earlier sweep with this code, unless it failed."""
    path = OUTPUT / f"{name}.json"
    if not path.exists():
        return None
    result: Result = json.loads(path.read_text(encoding="utf-8"))
    return result if result["passed"] and result["code_sha256"] == code_sha256() else None


def go_through(name: str, folder: Path) -> Result:
    """Export, quantize and verify one network; raises EdgecnnError where it does not hold."""
    fp32, int8 = folder / "fp32.onnx", folder / "int8.onnx"
    options = ExportOptions(weights="random", images=PARITY_IMAGES)
    exported = export(name, output=fp32, options=options)
    images = find_calibration("natural:16", seed=0)
    made = quantize(fp32, images, output=int8, options=QuantizeOptions(effort="fast"))
    boxes = made.verification.boxes
    for path in (fp32, int8):
        with load(path) as model:
            proof = model.verify()
        if not proof.passed:
            raise EdgecnnError(
                f"{path.name} answers {proof.answered} for {proof.expected}", hint="find out why"
            )
    return {
        "exporter": exported.exported.exporter,
        "opset": exported.exported.opset,
        "nodes": exported.exported.nodes_after,
        "parity_rel": exported.exported.parity.rel,
        "sqnr_db": made.quantized.check.sqnr_db,
        "top1_agreement": made.quantized.check.top1_agreement,
        "boxes": None if boxes is None else asdict(boxes),
        "float_layers": list(made.quantized.float_layers),
        "fp32_bytes": fp32.stat().st_size,
        "int8_bytes": int8.stat().st_size,
        "export_s": exported.wall_s,
        "quantize_s": made.wall_s,
    }


def measured(name: str) -> Result:
    """One network's result, kept for the next sweep."""
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    try:
        with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
            found = go_through(name, Path(folder)) | {"passed": True}
    except Exception as error:
        # Whatever it is, it is this network's failure, and the sweep goes on.
        known_cause = isinstance(error, EdgecnnError)
        cause = str(error) if known_cause else f"{type(error).__name__}: {error}"
        found = {"passed": False, "cause": " ".join(cause.split())}
    result = {
        "name": name,
        "code_sha256": code_sha256(),
        **found,
        "wall_s": time.perf_counter() - started_s,
        "cpu_s": time.process_time() - started_cpu_s,
    }
    (OUTPUT / f"{name}.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    return result


def line(result: Result, *, again: bool) -> str:
    """What people are told of a network."""
    if not result["passed"]:
        return f"{result['name']:<24} FAILS: {result['cause']}"
    when = "before" if again else f"{result['wall_s']:.0f} s"
    boxes = result["boxes"]
    again_found = f", {boxes['found']} of {boxes['boxes']} boxes again" if boxes else ""
    return (
        f"{result['name']:<24} parity {result['parity_rel']:.1e}, "
        f"INT8 {result['sqnr_db']:.1f} dB{again_found}, "
        f"{result['int8_bytes'] / 1e6:.1f} MB   {when}"
    )


def recalled_or_measured(name: str) -> tuple[Result, bool]:
    """A network's result, and whether it is an earlier sweep's."""
    earlier = known(name)
    return (measured(name), False) if earlier is None else (earlier, True)


def sweep(chosen: Sequence[str], *, light: Executor, heavy: Executor) -> Iterator[Result]:
    """All of them as they come, the heavy ones one after another beside the light ones."""
    with Speaker().progress("zoo") as progress:
        lanes = {name: heavy if _is_heavy(name) else light for name in chosen}
        results = [lane.submit(recalled_or_measured, name) for name, lane in lanes.items()]
        progress(0, len(results))
        for done, future in enumerate(as_completed(results), start=1):
            result, again = future.result()
            print(line(result, again=again), flush=True)
            progress(done, len(results))
            yield result


def _is_heavy(name: str) -> bool:
    return describe(find(name)).parameters > HEAVY_PARAMETERS


def _lane() -> Executor:
    # A fresh interpreter: torch's threads do not survive a fork.
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


if __name__ == "__main__":
    OUTPUT.mkdir(exist_ok=True)
    os.environ.update(KEEP_FREED_MEMORY)  # read when a process starts: for the lanes
    with _lane() as light, _lane() as heavy:
        chosen = [find(name).name for name in sys.argv[1:]] or list(names())
        results = list(sweep(chosen, light=light, heavy=heavy))
    renew(PAGE)
    failed = [result["name"] for result in results if not result["passed"]]
    print(f"{len(results) - len(failed)} of {len(results)} networks pass", *failed, sep="\n  ")
    sys.exit(bool(failed))
