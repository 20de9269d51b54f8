"""Six families on one data set: what each reaches on CIFAR-10, FP32 and INT8, and how fast.

    python -m benchmarks.cifar10 [train] [evaluate] [profile]      all of it, or the stages named

They are trained by recipes/cifar10/ on the first 1,000 training images of each class, quantized
with 256 of these, and judged by the first 300 test images of each. What is there already is not
made again, in bench-output/cifar10/, where the last stage writes table.md. The images come from
cifar10/cifar10_{train,test}_jpg.npz, JPEG files end to end, in the folder that EDGECNN_TEST_DATA
names.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from benchmarks.accuracy_pictures import data
from edgecnn.cli.speak import Speaker
from edgecnn.pipeline.calibration import find_calibration
from edgecnn.pipeline.export import export
from edgecnn.pipeline.measure import EvaluateOptions, ProfileOptions, evaluate, profile
from edgecnn.pipeline.quantize import quantize
from edgecnn.pipeline.train import train
from edgecnn.pipeline.train_recipe import read_photo_training
from edgecnn.profiling.report import evaluation_document, profile_document, summarize
from edgecnn.profiling.run import Options
from edgecnn.zoo import find
from edgecnn.zoo.labels import load_labels

OUTPUT = Path("bench-output") / "cifar10"
RECIPES = Path(__file__).parents[1] / "recipes" / "cifar10"
NETWORKS = ("lenet5", "vgg11_bn", "googlenet", "resnet20", "mobilenetv1", "mobilenetv2")
EACH = {"train": 1_000, "test": 300}  # images of a class
CALIBRATION_IMAGES = 256
TIME_LIMIT_S = 60.0
STAGES = ("train", "evaluate", "profile")


def main() -> None:
    """Run the stages that were named; the last one tells what came of all."""
    stages = sys.argv[1:] or STAGES
    for stage in stages:
        {"train": train_all, "evaluate": evaluate_all, "profile": profile_all}[stage]()


def train_all() -> None:
    """From the recipes to INT8 files."""
    photos = unpacked("train")
    for name in NETWORKS:
        checkpoint, fp32, int8 = (OUTPUT / f"{name}{end}" for end in _ENDS)
        if not checkpoint.exists():
            model, options = read_photo_training(RECIPES / f"{name}.toml", photos)
            train(model, options=options, output=checkpoint, force=True, narrator=Speaker())
        if not fp32.exists():
            export(str(checkpoint), output=fp32, narrator=Speaker())
        if not int8.exists():
            listed = checkpoint.with_suffix(".trained.txt")
            images = find_calibration(str(listed), limit=CALIBRATION_IMAGES)
            quantize(fp32, images, output=int8, narrator=Speaker())


def evaluate_all() -> None:
    """Top-1 on the test images; INT8 paired with FP32."""
    test = EvaluateOptions(data=unpacked("test"), threads=1)
    for name in NETWORKS:
        target = OUTPUT / f"{name}.accuracy.json"
        if not target.exists():
            found = evaluate(_pair(name), options=test, narrator=Speaker())
            target.write_text(json.dumps(evaluation_document(found)), encoding="utf-8")


def profile_all() -> None:
    """Latency of all files in interleaved blocks, one thread; then the table."""
    options = ProfileOptions(
        images=unpacked("test"), measuring=Options(threads=1, time_limit_s=TIME_LIMIT_S)
    )
    files = [path for name in NETWORKS for path in _pair(name)]
    found = profile_document(summarize(profile(files, options=options, narrator=Speaker())))
    (OUTPUT / "profile.json").write_text(json.dumps(found), encoding="utf-8")
    table = "\n".join(_table(found))
    (OUTPUT / "table.md").write_text(f"{table}\n", encoding="utf-8")
    Speaker().print(table)


def unpacked(split: str) -> Path:
    """The images of a split as PNG files, a folder per class."""
    folder = OUTPUT / split
    if folder.exists():
        return folder
    archive = np.load(data() / "cifar10" / f"cifar10_{split}_jpg.npz")
    blob, offsets, classes = archive["blob"], archive["offsets"], archive["labels"]
    unfinished = OUTPUT / f"{split}.unfinished"
    for index, label in enumerate(load_labels("cifar10")):
        (unfinished / label).mkdir(parents=True, exist_ok=True)
        for place in np.flatnonzero(classes == index)[: EACH[split]]:
            image = PIL.Image.open(io.BytesIO(blob[offsets[place] : offsets[place + 1]].tobytes()))
            image.save(unfinished / label / f"{place:05d}.png", compress_level=1)
    return unfinished.rename(folder)


_ENDS = (".safetensors", ".onnx", ".int8.onnx")


def _pair(name: str) -> tuple[Path, Path]:
    return OUTPUT / f"{name}.onnx", OUTPUT / f"{name}.int8.onnx"


def _table(profiles: dict[str, Any]) -> Iterator[str]:
    """A network a row, in Markdown."""
    rows = {Path(row["file"]).name: row for row in profiles["profiles"]}
    yield (
        "| network | width | epochs | parameters | MACs | FP32 top-1 | INT8 top-1 "
        "| FP32 ms | INT8 ms |"
    )
    yield f"|{'---|' * 9}"
    for name in NETWORKS:
        text = (OUTPUT / f"{name}.accuracy.json").read_text(encoding="utf-8")
        accuracies = [_percent(row["top1"]) for row in json.loads(text)["results"]]
        fp32, int8 = (rows[path.name] for path in _pair(name))
        _, options = read_photo_training(RECIPES / f"{name}.toml", OUTPUT)
        latencies = [_latency(row["latency_ms"]["p50"]) for row in (fp32, int8)]
        yield (
            " | ".join(
                (
                    f"| {find(name).title.removesuffix(' 1.0')}",
                    f"{options.build.get('width', 1):g}",
                    str(options.pace.epochs),
                    f"{fp32['parameters']:,}",
                    f"{fp32['macs'] / 1e6:.1f} M",
                    *accuracies,
                    *latencies,
                )
            )
            + " |"
        )


def _percent(found: dict[str, float]) -> str:
    return f"{found['value']:.1f} % ({found['low']:.1f} to {found['high']:.1f})"


def _latency(found: dict[str, float]) -> str:
    return f"{found['value']:.3f} ±{(found['high'] - found['low']) / 2:.3f}"


if __name__ == "__main__":
    main()
