"""The main job on what the packages bring: four small networks on digits, then a real one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecnn.datasets.digits import write_digits
from edgecnn.errors import FileError
from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.export import ExportOptions, export, export_network
from edgecnn.pipeline.measure import ProfileOptions, profile
from edgecnn.pipeline.narrator import Narrator
from edgecnn.pipeline.quantize import QuantizeOptions, quantize
from edgecnn.pipeline.sources import Network
from edgecnn.profiling.records import Report
from edgecnn.profiling.run import Options
from edgecnn.training.digits import DIGITS_NETWORKS, load_or_train
from edgecnn.zoo.catalog import find

LITE0 = "efficientnet_lite0"


@dataclass(frozen=True, slots=True)
class Demo:
    """Where the demo works and where the digits' checkpoints lie, if anywhere."""

    folder: Path
    checkpoints: Path | None
    threads: int = 1


def digits(demo: Demo, *, narrator: Narrator) -> Report:
    """Export, quantize, evaluate and profile four small networks on held-out digits."""
    folder = _folder(demo.folder / "digits")
    labelled, photos = folder / "held-out", folder / "calibration"
    write_digits(labelled, "held_out")
    write_digits(photos, "calibration")
    files: list[Path] = []
    for name in DIGITS_NETWORKS:
        files += _pair(_digits_network(name, demo, narrator), folder, photos, narrator)
    return _profiled(files, data=labelled, demo=demo, narrator=narrator, time_limit_s=25)


def lite0(demo: Demo, *, narrator: Narrator) -> Report:
    """The same once with EfficientNet-Lite0, calibrated on crops of packaged photos."""
    folder = _folder(demo.folder / LITE0)
    source = folder / f"{LITE0}.onnx"
    export(LITE0, output=source, options=ExportOptions(images=16), force=True, narrator=narrator)
    crops = find_calibration("photos:160", seed=0)
    options = QuantizeOptions(effort="fast")
    int8 = quantize(source, crops, options=options, force=True, narrator=narrator)
    files = (source, int8.path)
    return _profiled(files, data=None, demo=demo, narrator=narrator, time_limit_s=15)


def _digits_network(name: str, demo: Demo, narrator: Narrator) -> Network:
    with narrator.progress(f"train {name}") as progress:
        loaded = load_or_train(name, folder=demo.checkpoints, progress=progress)
    narrator.line("model", f"{find(name).title} for digits; {loaded.source}")
    return Network(
        name=name,
        title=name,
        module=loaded.module,
        preprocess=loaded.preprocess,
        labels=loaded.labels,
        weights={"source": loaded.source, "sha256": loaded.sha256, "tag": loaded.tag},
    )


def _pair(network: Network, folder: Path, photos: Path, narrator: Narrator) -> list[Path]:
    source = folder / f"{network.name}.onnx"
    export_network(network, source, narrator=narrator)
    images = find_calibration(str(photos), limit=128, seed=0)
    return [source, quantize(source, images, force=True, narrator=narrator).path]


def _profiled(
    files: Sequence[Path],
    *,
    data: Path | None,
    demo: Demo,
    narrator: Narrator,
    time_limit_s: float,
) -> Report:
    measuring = Options(threads=demo.threads, time_limit_s=time_limit_s, layers=True)
    options = ProfileOptions(data=data, measuring=measuring)
    return profile(files, options=options, narrator=narrator)


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            f"{path}: cannot be made ({error.strerror})", hint="choose a place: -o DIR"
        ) from error
    return path
