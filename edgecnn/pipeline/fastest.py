"""The fastest engine of each file that answers rightly, and whether INT8 pays on this device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecnn.contract import Contract
from edgecnn.datasets.natural import natural_images
from edgecnn.errors import ContractError
from edgecnn.onnxfile import has_contract, model_sha256, read_contract
from edgecnn.pipeline.narrator import Narrator, Silent
from edgecnn.runtime import auto
from edgecnn.runtime.loading import load
from edgecnn.runtime.race import Ratio

_IMAGES = 4


@dataclass(frozen=True, slots=True)
class Fastest:
    """A file, its contract, and which engine runs it fastest here."""

    path: Path
    contract: Contract
    choice: auto.Choice

    @property
    def is_integer(self) -> bool:
        """Whether the file is INT8, all of it or with FP16 around."""
        return str(self.contract.provenance.get("precision", "fp32")).startswith("int8")

    @property
    def p50_ms(self) -> float:
        """What a run takes on the chosen engine."""
        return self.choice.entrants[0].p50_ms or 0.0

    def document(self) -> dict[str, Any]:
        """As `--json` gives it."""
        return {"file": str(self.path), **self.choice.document()}

    def told(self) -> Iterator[str]:
        """The engine and what a run takes; then what the others take, or why they are out."""
        first, *others = self.choice.entrants
        threads = "1 thread" if self.choice.threads == 1 else f"{self.choice.threads} threads"
        state = "measured" if self.choice.made else "measured before"
        yield f"{self.path}: {first.version}, {self.p50_ms:.2f} ms ({threads}, {state})"
        yield from map(_beaten, others)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which file of a network to take: `ratio` is its INT8 file's time over its float file's.

    Of several each is the fastest.

    INT8 is taken only where it surely takes less time.
    """

    integer: Fastest
    plain: Fastest
    ratio: Ratio

    @property
    def take(self) -> Fastest:
        """The file to take."""
        return self.integer if self.ratio.is_shorter else self.plain

    @property
    def advice(self) -> str:
        """The file to take, on which engine, and why."""
        integer, plain, ratio = self.integer, self.plain, self.ratio.told
        if self.ratio.is_shorter:
            return f"{integer.path} on {integer.choice.engine}: {ratio} the time of {plain.path}"
        doubt = "is not faster by enough to tell" if self.ratio.value < 1 else "does not pay"
        taken = f"{plain.path} on {plain.choice.engine}"
        return f"{taken}: INT8 {doubt} here, {integer.path} takes {ratio} its time"

    def document(self) -> dict[str, Any]:
        """As `--json` gives it."""
        ratio = self.ratio
        return {
            "file": str(self.take.path),
            "engine": self.take.choice.engine,
            "int8": str(self.integer.path),
            "float": str(self.plain.path),
            "int8_over_float": {"value": ratio.value, "low": ratio.low, "high": ratio.high},
        }


@dataclass(frozen=True, slots=True)
class FastestOptions:
    """`threads` None is all cores; `again` measures although the cache knows the answer."""

    threads: int | None = None
    again: bool = False


def fastest(
    files: Sequence[Path],
    *,
    options: FastestOptions | None = None,
    narrator: Narrator | None = None,
) -> tuple[tuple[Fastest, ...], tuple[Verdict, ...]]:
    """Choose the engine of each file; of INT8 and float files of one network say which to take.

    Answers are compared on natural images too. Raises as `auto.choose` does.
    """
    options, narrator = options or FastestOptions(), narrator or Silent()
    contracts = [_contract(path) for path in files]  # all of them, before one is measured
    chosen = []
    for path, contract in zip(files, contracts, strict=True):
        chosen.append(_chosen(path, contract, options))
        for index, text in enumerate(chosen[-1].told()):
            narrator.line("" if index else "compile", text)
    verdicts = tuple(_verdicts(chosen))
    for verdict in verdicts:
        narrator.line("take", verdict.advice)
    return tuple(chosen), verdicts


def _contract(path: Path) -> Contract:
    if not has_contract(path):
        raise ContractError(
            f"{path}: an ONNX file without an edgecnn contract, which tells how to judge answers",
            hint=f"give it one: edgecnn export {path} --size 224 -o NEW.onnx",
        )
    return read_contract(path)


def _chosen(path: Path, contract: Contract, options: FastestOptions) -> Fastest:
    height, width = contract.preprocess.size
    choice = auto.choose(
        path,
        contract=contract,
        sha256=model_sha256(path),
        threads=options.threads,
        images=lambda: tuple(natural_images(_IMAGES, height=height, width=width, seed=0)),
        again=options.again,
    )
    return Fastest(path, contract, choice)


def _verdicts(files: Sequence[Fastest]) -> Iterator[Verdict]:
    """Of each network its fastest INT8 file against its fastest float file."""
    for name in dict.fromkeys(each.contract.name for each in files):
        network = [each for each in files if each.contract.name == name]
        integers = [each for each in network if each.is_integer]
        plain = [each for each in network if not each.is_integer]
        if integers and plain:
            integer, best = (
                min(group, key=lambda each: each.p50_ms) for group in (integers, plain)
            )
            yield Verdict(integer, best, _compare(integer, best))


def _compare(integer: Fastest, plain: Fastest) -> Ratio:
    threads = integer.choice.threads
    with (
        load(integer.path, engine=integer.choice.engine, threads=threads) as model,
        load(plain.path, engine=plain.choice.engine, threads=threads) as against,
    ):
        return auto.compare(model, against)


def _beaten(entrant: auto.Entrant) -> str:
    if entrant.ratio is None:
        return f"not {entrant.engine}: {entrant.problem}"
    surely = "" if entrant.ratio.is_longer else ": no difference can be told"
    return f"{entrant.version}, {entrant.p50_ms:.2f} ms, {entrant.ratio.told} the time{surely}"
