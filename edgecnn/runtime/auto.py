"""`--engine auto`: of the engines that are installed, the fastest that answers rightly.

The choice holds for one file on one device with one number of threads. It lies in the cache, with
what the others took, so that it is made once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.contract import Contract
from edgecnn.errors import ContractError, EdgecnnError, EngineError, FileError
from edgecnn.runtime import cache
from edgecnn.runtime.compiled import open_engine
from edgecnn.runtime.correctness import Answers, check_answers, passing
from edgecnn.runtime.facts import core_count, cpu_flags, device_name
from edgecnn.runtime.fit import check_fit
from edgecnn.runtime.golden import golden_image
from edgecnn.runtime.measure import Run
from edgecnn.runtime.model import Model
from edgecnn.runtime.preprocess import Image, Tensor
from edgecnn.runtime.race import Ratio, race, ratio

AUTO = "auto"

# Engine -> the modules that may hold it. The first that runs a file says what is right, and it is
# kept where no other is faster by enough to tell. BF16 is another precision: it is never chosen.
_MODULES = {
    "onnxruntime": ("onnxruntime",),
    "openvino": ("openvino",),
    "litert": ("ai_edge_litert",),
    "tensorrt": ("tensorrt",),
    "tensorrt-rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
_FILE = "choice.json"


@dataclass(frozen=True, slots=True)
class Entrant:
    """One engine: what a run takes, and how many times as long as with the chosen one.

    Where `problem` says why it was not measured, both are None. `version` is its name with it.
    """

    engine: str
    version: str = ""
    p50_ms: float | None = None
    ratio: Ratio | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The engine of a file, and all that were looked at, the chosen one first.

    `images` is how many the answers were compared on; `made` says that this call measured.
    """

    engine: str
    threads: int
    images: int
    entrants: tuple[Entrant, ...]
    made: bool = True

    @property
    def why(self) -> str:
        """Why this engine, in a few words for the reader of a measurement."""
        for entrant in self.entrants[1:]:  # the next by time comes first
            if entrant.ratio:
                surely = "" if entrant.ratio.is_longer else ", too near to tell"
                told = f"{entrant.version} takes {entrant.ratio.told} its time{surely}"
                return f"chose {self.engine}: {told}"
        return f"chose {self.engine}: no other engine here answers rightly"

    def document(self) -> dict[str, Any]:
        """As the cache and `--json` hold it."""
        return dataclasses.asdict(self)


def choose(
    path: Path,
    *,
    contract: Contract,
    sha256: str,
    threads: int | None = None,
    images: Callable[[], Sequence[Image]] = tuple,
    again: bool = False,
) -> Choice:
    """The fastest engine that is right, as the cache knows it or by measuring now.

    Right means: the golden check passes, and on its image, on variants of it and on `images`
    (uint8, (H, W, 3), RGB; asked for when measuring) the outputs are those of the first engine,
    but for rounding. `again` measures in any case. Raises EngineError where no engine is right,
    ModelError, ContractError, FileError.
    """
    threads = threads or core_count()
    key = _key(sha256, threads)

    def build(folder: Path) -> None:
        made = _choose(path, contract, sha256=sha256, threads=threads, images=images())
        (folder / _FILE).write_text(json.dumps(made.document()))

    about = f"{path.name}: the fastest engine"
    with contextlib.suppress(FileError):  # without room for a cache it is measured each time
        for _ in range(2):
            folder, built = cache.engine_entry(key, build, about=about)
            if built or not again:
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                    return _read(folder / _FILE, made=built)
            cache.discard(folder)
    return _choose(path, contract, sha256=sha256, threads=threads, images=images())


def known_choice(*, sha256: str, threads: int | None = None) -> Choice | None:
    """What the cache knows, None where nothing was measured yet; nothing is measured now."""
    folder = cache.existing_entry(_key(sha256, threads or core_count()))
    if folder is None:
        return None
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return _read(folder / _FILE, made=False)
    return None


def _key(sha256: str, threads: int) -> dict[str, str]:
    return {
        "sha256": sha256,
        "engine": f"{AUTO}: {_installed()}",
        "cpu": " ".join(sorted(cpu_flags())),
        "device": device_name(),
        "options": f"{threads} threads, choices of format 3",
    }


def compare(model: Model, against: Model) -> Ratio:
    """How many times as long a run of `model` takes as one of `against`, interleaved."""
    pictures = _variants(model.contract)
    first, second = (
        _run(each, [each.preprocess(picture) for picture in pictures]) for each in (model, against)
    )
    return ratio(*race((first, second)))


def _choose(
    path: Path, contract: Contract, *, sha256: str, threads: int, images: Sequence[Image]
) -> Choice:
    pictures = (*_variants(contract), *images)
    right: list[Model] = []
    out: list[Entrant] = []
    wanted: Answers = ()
    with contextlib.ExitStack() as stack:
        for engine in _candidates():
            try:
                opened = open_engine(path, engine=engine, sha256=sha256, threads=threads)
                stack.callback(opened.close)
                check_fit(path, contract, opened)
                model = Model(path, contract=contract, engine=opened, sha256=sha256)
                answers = tuple(model.outputs(model.preprocess(picture)) for picture in pictures)
                wanted = wanted or passing(model, answers)
                check_answers(model, answers, wanted)
                right.append(model)
            except ContractError:
                raise  # no engine's fault
            except EdgecnnError as error:
                out.append(Entrant(engine, problem=str(error)))
        if not right:
            raise _nothing_is_right(path, out)
        ranked = _ranked(right, pictures)
    return Choice(ranked[0].engine, threads, len(pictures), (*ranked, *out))


def _nothing_is_right(path: Path, out: Sequence[Entrant]) -> EngineError:
    reasons = "; ".join(f"{entrant.engine}: {entrant.problem}" for entrant in out)
    return EngineError(
        f"{path}: no engine runs it rightly ({reasons or 'none is installed'})",
        hint="pip install 'edgecnn[ort]', or name one: --engine onnxruntime",
    )


def _ranked(models: Sequence[Model], pictures: Sequence[Image]) -> tuple[Entrant, ...]:
    """The chosen one, then the others by their time."""
    tensors = [models[0].preprocess(picture) for picture in pictures]
    blocks = race([_run(model, tensors) for model in models])
    fastest = min(blocks, key=lambda block: float(np.median(block)))
    # All of them are right: where the device is too noisy to be sure, the likelier one is no risk.
    chosen = next(
        each for each in blocks if each is fastest or not ratio(each, fastest).seems_longer
    )
    entrants = [
        Entrant(
            model.engine.name,
            model.engine.facts["engine"],
            float(np.median(each)),
            ratio(each, chosen),
        )
        for model, each in zip(models, blocks, strict=True)
    ]
    first = next(index for index, each in enumerate(blocks) if each is chosen)
    rest = [entrant for index, entrant in enumerate(entrants) if index != first]
    return (entrants[first], *sorted(rest, key=lambda entrant: entrant.p50_ms or 0.0))


def _run(model: Model, tensors: Sequence[Tensor]) -> Run:
    spec = model.engine.inputs[0]
    feeds = [{spec.name: np.repeat(tensor, spec.batch or 1, axis=0)} for tensor in tensors]

    def run(index: int) -> None:
        model.engine.run(feeds[index % len(feeds)])

    return run


def _variants(contract: Contract) -> tuple[Image, ...]:
    """The golden image, mirrored, upside down, darker; noise where the contract has none."""
    if contract.golden is None:
        height, width = contract.preprocess.size
        random = np.random.default_rng(0)
        return tuple(random.integers(0, 256, (4, height, width, 3), dtype=np.uint8))
    image = golden_image(contract.golden)
    return tuple(map(np.ascontiguousarray, (image, image[:, ::-1], image[::-1], image // 2)))


def _candidates() -> tuple[str, ...]:
    """The engines that are installed, and after them what else this ONNX Runtime can run on."""
    engines = tuple(_installed())
    with contextlib.suppress(ImportError, OSError):
        from edgecnn.runtime.engines.ort_providers import providers_here

        return (*engines, *providers_here())
    return engines


def is_installed(engine: str) -> bool:
    """Whether a library is here that holds the engine; it is not loaded."""
    return any(_stamps(engine))


def _installed() -> dict[str, str]:
    """The engines that are installed, and what changes when one is installed anew."""
    return {engine: stamp for engine in _MODULES for stamp in _stamps(engine)}


def _stamps(engine: str) -> Iterator[str]:
    """At most one: found without loading a library, which would cost every start its time."""
    for module in _MODULES[engine]:
        spec = importlib.util.find_spec(module)
        if spec is not None and spec.origin is not None:
            yield f"{spec.origin} {Path(spec.origin).stat().st_mtime_ns}"
            return


def _read(file: Path, *, made: bool) -> Choice:
    document = json.loads(file.read_text())
    entrants = tuple(
        Entrant(**{**each, "ratio": each["ratio"] and Ratio(**each["ratio"])})
        for each in document["entrants"]
    )
    return Choice(**{**document, "entrants": entrants, "made": made})
