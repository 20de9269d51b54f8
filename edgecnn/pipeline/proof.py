"""The written INT8 file against the float file, in the runtime, on images kept aside."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.contract import Contract
from edgecnn.errors import DataError, EdgecnnError
from edgecnn.graph.check import compare
from edgecnn.runtime import cache
from edgecnn.runtime.compiled import compile_engine
from edgecnn.runtime.drift import Glance, usual
from edgecnn.runtime.engines.ort import open_graph
from edgecnn.runtime.loading import load
from edgecnn.runtime.model import Model
from edgecnn.runtime.preprocess import Image
from edgecnn.runtime.ranges import RANGES, Inner, Usage, usual_ranges
from edgecnn.runtime.rangewatch import Gauge
from edgecnn.runtime.results import cosine, is_map

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Proof:
    """Two files on the same `images` images.

    `sqnr_db` is the mean over images (and outputs) of the ratio of the answer's power, centred, to
    its error's. `agreement` is the share of images with the same best class; of a network that
    answers with a map, of its pixels, and then `flips` is None. `usual` is what the second file got
    and how sure it was, for a camera to compare with. `cosine` is the mean of two embeddings'.
    """

    images: int
    sqnr_db: float
    agreement: float
    flips: int | None
    usual: Mapping[str, Any] = field(default_factory=dict)
    cosine: float | None = None

    def document(self) -> dict[str, Any]:
        """As contracts and `--json` hold it."""
        told = {"cosine": round(self.cosine, 5)} if self.cosine is not None else {}
        return {
            "images": self.images,
            "sqnr_db": round(self.sqnr_db, 2),
            "top1_agreement": round(self.agreement, 4),
            "flips": self.flips,
            **told,
        }


def uncached(path: Path, contract: Contract) -> Model:
    """A file in the runtime, without leaving an engine in the cache."""
    engine = open_graph(path, graph="not cached")
    return Model(path, contract=contract, engine=engine, sha256="")


def prove(
    reference: Model, model: Model, images: Iterable[Image], *, gauge: Gauge | None = None
) -> Proof:
    """Run two files on images, each through its own preprocessing; raises DataError for none.

    `gauge` reads inner activations of the second one.
    """
    ratios: list[float] = []
    agreements: list[float] = []
    cosines: list[float] = []
    glances: list[Glance] = []
    usages: list[tuple[Usage, ...]] = []
    maps = False
    for image in images:
        tensor = model.preprocess(image)
        wanted, given = reference.outputs(reference.preprocess(image)), model.outputs(tensor)
        glances.append(model.glance(tensor, given))
        if gauge is not None:
            usages.append(gauge.read(tensor))
        checks = [compare(_row(a), _row(b)) for a, b in zip(wanted, given, strict=True)]
        ratios.append(sum(check.sqnr_db for check in checks) / len(checks))
        if model.contract.task == "embedding":
            cosines.append(cosine(wanted[0], given[0]))
        maps = is_map(wanted[0].shape)
        agreements.append(_agreement(wanted[0], given[0]) if maps else checks[0].top1_agreement)
    if not ratios:
        raise DataError("no images to judge by", hint="give at least 16 calibration images")
    flips = None if maps else len(agreements) - round(sum(agreements))
    return Proof(
        len(ratios),
        float(np.mean(ratios)),
        float(np.mean(agreements)),
        flips,
        usual(glances) | ({RANGES: usual_ranges(gauge.inners, usages)} if gauge else {}),
        float(np.mean(cosines)) if cosines else None,
    )


def prove_file(
    path: Path,
    source: Path,
    contract: Contract,
    images: Iterable[Image],
    *,
    inners: Sequence[Inner] = (),
) -> Proof:
    """Load a written file as the camera does and compare it with its source.

    `contract` is the source's, `inners` are activations of the written file to look at. The engine
    that loading builds is taken out of the cache again: the file will be read under another name,
    with this proof inside.
    """
    loaded = load(path, engine="onnxruntime", check=False)
    with loaded as model, uncached(source, contract) as reference, _gauge(path, inners) as gauge:
        proof = prove(reference, model, images, gauge=gauge)
        with contextlib.suppress(EdgecnnError):
            compiled = compile_engine(path, engine=model.engine.name, sha256=model.sha256)
            cache.discard(compiled.folder)
    return proof


@contextlib.contextmanager
def _gauge(path: Path, inners: Sequence[Inner]) -> Iterator[Gauge | None]:
    """What reads activations of a file; nothing where there are none."""
    if not inners:
        yield None
        return
    with contextlib.closing(Gauge(path, inners)) as gauge:
        yield gauge


def agreement(proof: Proof) -> str:
    """`top-1 agreement 95.0 % (3 flips)`; of embeddings `cosine 0.9987`."""
    if proof.cosine is not None:
        return f"cosine {proof.cosine:.4f}"
    share = f"{100 * proof.agreement:.1f} %"
    if proof.flips is None:
        return f"{share} of the pixels agree"
    flips = "1 flip" if proof.flips == 1 else f"{proof.flips} flips"
    return f"top-1 agreement {share} ({flips})"


def _row(output: FloatArray) -> FloatArray:
    return output[:1].reshape(1, -1)


def _agreement(wanted: FloatArray, given: FloatArray) -> float:
    """The share of pixels with the same class; of one channel, on the same side of zero."""
    if wanted.shape[1] == 1:
        return float(np.mean((wanted > 0) == (given > 0)))
    return float(np.mean(wanted.argmax(axis=1) == given.argmax(axis=1)))
