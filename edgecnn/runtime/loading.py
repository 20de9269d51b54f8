"""From a file to a model that answers: which engine, from the cache or built, and its proof."""

from __future__ import annotations

import contextlib
from pathlib import Path

from edgecnn.contract import METADATA_KEY, Contract
from edgecnn.errors import EdgecnnError, EngineError, UsageError
from edgecnn.onnxfile import contract_from, model_sha256, read_header
from edgecnn.runtime import cache
from edgecnn.runtime.compiled import better_engine, open_engine
from edgecnn.runtime.engines.base import Engine
from edgecnn.runtime.fit import check_fit
from edgecnn.runtime.model import Model
from edgecnn.runtime.proven import check_golden, proven


def load(  # noqa: PLR0913 - what a camera app may say of a file, all by name
    path: str | Path,
    *,
    engine: str = "auto",
    threads: int | None = None,
    contract: Contract | None = None,
    wait: bool = False,
    check: bool = True,
    warm_up: bool = True,
) -> Model:
    """Load a model file; the engine built for this device is taken from the cache or built.

    `auto` is the fastest engine that is right, as `edgecnn compile --engine auto` or a profile has
    measured it here; with `wait` it is measured now where the cache does not know it. Without
    either, ONNX Runtime answers; where a GPU and TensorRT are here, an engine of that is built
    meanwhile and takes over between two frames, once it has passed the file's golden check.
    The first time a file is loaded on an engine, the golden check of its contract must pass; the
    cache remembers that. `check=False` leaves it out. Then it runs on a gray frame, so that the
    first call takes no longer than the next; `warm_up=False` starts sooner instead. `contract`
    stands in for files that carry none. Raises FileError, ModelError, ContractError or EngineError;
    UsageError for an unknown engine or no number of threads.
    """
    path = Path(path)
    _check_threads(threads)
    known = cache.remembered(path, lambda: _looked_at(path))
    contract, sha256 = contract or contract_from(known["contract"], path), known["sha256"] or ""
    if engine == "auto":
        model = _fastest(path, contract, sha256=sha256, threads=threads, wait=wait)
    else:
        opened = open_engine(path, engine=engine, sha256=sha256, threads=threads)
        check_fit(path, contract, opened)
        model = Model(path, contract=contract, engine=opened, sha256=sha256)
    if check:
        proven(model)
    if warm_up:
        _warmed(model)
    return model


def _check_threads(threads: int | None) -> None:
    if threads is not None and not (isinstance(threads, int) and threads >= 1):
        raise UsageError(f"{threads!r} threads", hint="1 or more; None takes all cores")


def _warmed(model: Model) -> None:
    try:
        model.warm_up()
    except EdgecnnError:
        model.close()
        raise


def _looked_at(path: Path) -> tuple[cache.Facts, bool]:
    """A model's sha256 and its contract, and whether no weights of it lie in other files."""
    header = read_header(path)
    facts = {"contract": header.metadata.get(METADATA_KEY), "sha256": model_sha256(path)}
    return facts, not header.external


def _fastest(
    path: Path, contract: Contract, *, sha256: str, threads: int | None, wait: bool
) -> Model:
    from edgecnn.runtime.auto import Choice, choose, is_installed, known_choice

    def chosen(choice: Choice) -> Model:
        opened = open_engine(path, engine=choice.engine, sha256=sha256, threads=threads)
        check_fit(path, contract, opened)
        return Model(path, contract=contract, engine=opened, sha256=sha256, why=choice.why)

    known = known_choice(sha256=sha256, threads=threads)
    if known is not None:
        with contextlib.suppress(EngineError):  # its library or its GPU is gone
            return chosen(known)
    if not wait and is_installed("onnxruntime"):
        return _serving(path, contract, sha256=sha256, threads=threads)
    return chosen(
        choose(path, contract=contract, sha256=sha256, threads=threads, again=known is not None)
    )


def _serving(path: Path, contract: Contract, *, sha256: str, threads: int | None) -> Model:
    """ONNX Runtime at once, and TensorRT's engine as soon as it is built, where it can be."""
    engine = open_engine(path, engine="onnxruntime", sha256=sha256, threads=threads)
    check_fit(path, contract, engine)
    better = better_engine()
    if better is not None:
        from edgecnn.runtime.engines.switching import SwitchingEngine

        def build() -> Engine:
            built = open_engine(path, engine=better, sha256=sha256)
            model = Model(path, contract=contract, engine=built, sha256=sha256)
            check_golden(model)
            _warmed(model)
            return built

        engine = SwitchingEngine(engine, build)
    return Model(path, contract=contract, engine=engine, sha256=sha256)
