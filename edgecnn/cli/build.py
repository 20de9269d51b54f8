"""The verb that builds engines, or finds out which one is the fastest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli import options
from edgecnn.cli.speak import Speaker
from edgecnn.errors import UsageError

if TYPE_CHECKING:
    from edgecnn.pipeline.audit import Audit
    from edgecnn.runtime.compiled import Compiled

_SHOWN = 5  # layers in float


@click.command("compile")
@click.argument("files", type=options.FILE, nargs=-1, required=True, metavar="FILE...")
@options.engine
@click.option(
    "--compute-capability",
    "capabilities",
    type=click.IntRange(50, 200),
    multiple=True,
    metavar="NN",
    help="Build ahead of time for such a GPU: 86 is 8.6. TensorRT-RTX, no GPU needed.",
)
@click.option("--threads", type=click.IntRange(1), help="With auto: measure with so many  [all]")
@click.option("--force", is_flag=True, help="Overwrite what the cache holds; auto measures again.")
@options.speaking
def compile_(
    *,
    speaker: Speaker,
    files: tuple[Path, ...],
    engine: str,
    capabilities: tuple[int, ...],
    threads: int | None,
    force: bool,
) -> None:
    """Build the engine of a file for this device, into the cache.

    Loading does this by itself when it must; compile does it before anybody waits for it. `auto`
    measures the engines that are installed and takes the fastest that answers rightly; of a float
    file and an INT8 file of one network it also says which to take. Where there is a C compiler,
    the helper is built, too, that makes preprocessing faster.
    """
    from edgecnn.onnxfile import read_header

    for file in files:
        read_header(file)  # what is none is said before any work begins
    if not capabilities:
        _build_helper(speaker)
    if engine == "auto" and not capabilities:
        _choose(speaker, files, threads=threads, force=force)
        return
    if threads is not None:
        raise UsageError(
            f"--threads says nothing to compile for {engine}: what it builds runs with any number",
            hint="it goes with --engine auto, which measures",
        )
    results = [
        _compile(speaker, file, engine=engine, capabilities=capabilities, force=force)
        for file in files
    ]
    if capabilities:
        speaker.line("note", "a proof that it builds; the device with the GPU makes its own plan")
    speaker.result({"format": 1, "results": results})


def _build_helper(speaker: Speaker) -> None:
    """The preprocessing helper; where it cannot be built, nothing is lost but time."""
    from edgecnn.errors import EngineError
    from edgecnn.runtime.native import build_helper

    try:
        state = "built" if build_helper() else "already there"
    except EngineError as error:
        state = f"in NumPy: {error}"
    speaker.line("preprocess", state)


def _choose(speaker: Speaker, files: tuple[Path, ...], *, threads: int | None, force: bool) -> None:
    from edgecnn.pipeline.fastest import FastestOptions, fastest

    chosen = FastestOptions(threads=threads, again=force)
    found, verdicts = fastest(files, options=chosen, narrator=speaker)
    results = []
    for each in found:
        audited = _audit(each.path, each.choice.engine)
        if audited is not None:
            _tell_audit(speaker, audited, of=f"{each.path}: ")
        results.append({**each.document(), "audit": audited and audited.document()})
    take = [verdict.document() for verdict in verdicts]
    speaker.result({"format": 1, "results": results, "take": take})


def _compile(
    speaker: Speaker, file: Path, *, engine: str, capabilities: tuple[int, ...], force: bool
) -> dict[str, Any]:
    from edgecnn.files import human_size
    from edgecnn.onnxfile import model_sha256
    from edgecnn.runtime import cache
    from edgecnn.runtime.compiled import compile_engine

    sha256 = model_sha256(file)

    def built() -> Compiled:
        with speaker.progress("compile") as progress:
            return compile_engine(
                file,
                engine=engine,
                sha256=sha256,
                compute_capabilities=tuple(sorted(set(capabilities))),
                progress=progress,
            )

    compiled = built()
    if force and not compiled.built:
        cache.discard(compiled.folder)
        compiled = built()
    state = "built" if compiled.built else "already there"
    speaker.line("compile", f"{file} for {engine}: {state}, {human_size(compiled.size_bytes)}")
    found = _audit(file, engine)
    if found is not None:
        _tell_audit(speaker, found)
    return {
        "file": str(file),
        "engine": engine,
        "built": compiled.built,
        "path": str(compiled.graph),
        "size_bytes": compiled.size_bytes,
        "audit": found and found.document(),
    }


def _audit(file: Path, engine: str) -> Audit | None:
    try:
        from edgecnn.pipeline.audit import audit
    except ImportError:  # on a device without the toolkit engines are built all the same
        return None
    return audit(file, engine=engine)


def _tell_audit(speaker: Speaker, found: Audit, *, of: str = "") -> None:
    head, *floats = found.told()
    speaker.line("audit", f"{of}{head}")
    for text in floats[:_SHOWN]:
        speaker.line("", text)
    if len(floats) > _SHOWN:
        speaker.line("", f"and {len(floats) - _SHOWN} more: --json names them")
