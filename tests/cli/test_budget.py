"""A budget for INT8 at the command line: kept, rescued, missed, not to be told."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto
from PIL import Image

from edgecnn.datasets.natural import natural_images
from edgecnn.onnxfile import read_contract
from edgecnn.pipeline.contracts import ContractOptions, contract_of
from edgecnn.pipeline.proof import uncached
from tests import toy
from tests.cli.conftest import Edgecnn
from tests.cli.test_inspect import lines_of
from tests.graph.culprits import coarse_layer, hopeless

ROOT = Path(__file__).parents[2]
PREPARED = ("--mean", "0.5", "--std", "0.25")


def written(model: ModelProto, name: str = "net.onnx") -> Path:
    onnx.save(model, name)
    return Path(name)


def grey_photos(folder: str, count: int, *, seed: int = 3) -> Path:
    """Grey pictures of different brightness."""
    path = Path(folder)
    path.mkdir()
    random = np.random.default_rng(seed)
    for index, image in enumerate(natural_images(count, height=24, width=24, seed=seed)):
        grey = image.mean(axis=2, keepdims=True) * 0.3 + random.uniform(0, 178)
        Image.fromarray(np.repeat(grey, 3, axis=2).astype(np.uint8)).save(path / f"{index:03}.png")
    return path


def labelled_by(file: Path, folder: Path, target: str) -> Path:
    """Copies whose names say what the float file answers, so that it is always right."""
    path = Path(target)
    path.mkdir()
    options = ContractOptions(mean=(0.5,), std=(0.25,))
    with uncached(file, contract_of(file, options)) as model:
        for index, source in enumerate(sorted(folder.iterdir())):
            best = int(model.logits(np.asarray(Image.open(source))).argmax())
            (path / f"{best}_{index}.png").write_bytes(source.read_bytes())
    return path


def quantize(edgecnn: Edgecnn, file: Path, *options: object) -> tuple[str, ...]:
    return ("quantize", str(file), *PREPARED, "--effort", "fast", *map(str, options))


def test_without_a_budget_the_written_file_proves_itself(edgecnn: Edgecnn) -> None:
    file, photos = written(toy.plain()), grey_photos("photos", 40)
    said = edgecnn(*quantize(edgecnn, file, "--calibration", photos))
    assert said.code == 0, said.err
    assert "INT8 against FP32 on 8 images kept aside: SQNR" in said.out
    assert "worst layer  conv_" in said.out
    step = read_contract(Path("net.int8.onnx")).provenance["steps"][-1]
    assert step["check"]["images"] == 8
    assert step["check"]["flips"] == 0
    assert step["check"]["worst_layer"]["name"].startswith("conv_")
    assert "budget" not in step
    assert edgecnn("verify", "net.int8.onnx").code == 0
    entries = edgecnn("cache", "list", "--json").document["entries"]
    assert len(entries) == 1, "only the file that stays has an engine"


def test_a_network_that_keeps_to_it_is_left_alone(edgecnn: Edgecnn) -> None:
    file, photos = written(toy.plain()), grey_photos("photos", 120)
    said = edgecnn(*quantize(edgecnn, file, "--calibration", photos, "--min-agreement", "80%"))
    assert said.code == 0, said.err
    assert "80 % wanted on 24 images kept aside: held" in said.out
    assert "float" not in said.out
    budget = read_contract(Path("net.int8.onnx")).provenance["steps"][-1]["budget"]
    assert budget["verdict"] == "held"
    assert budget["rescued"] == []
    assert budget["independent"] is False


def test_the_culprit_goes_back_to_float_and_the_file_tells_it(edgecnn: Edgecnn) -> None:
    model, culprit = coarse_layer()
    file, photos = written(model), grey_photos("photos", 160)
    said = edgecnn(*quantize(edgecnn, file, "--calibration", photos, "--min-agreement", "80%"))
    assert said.code == 0, said.err
    # Prices are measured, so that on a busy machine a neighbour may go with it.
    assert re.search(rf"^float +.*{culprit}.*: \d+ % of the error", said.out, re.MULTILINE)
    assert "rounding its weights" in said.out
    assert "ms on one thread of ONNX Runtime, measured here" in said.out
    assert re.search(r"images kept aside, looked at \d times: held", said.out)
    step = read_contract(Path("net.int8.onnx")).provenance["steps"][-1]
    assert culprit in step["float_layers"]
    assert len(step["float_layers"]) < 4, "the others stay"
    assert any(culprit in item["layers"] for item in step["budget"]["rescued"])
    assert step["budget"]["int8_throughout"] < 0.8 <= step["budget"]["value"]
    assert step["budget"]["confidence"] >= 0.975

    shown = edgecnn("inspect", "net.int8.onnx").out
    found = lines_of(shown)
    assert found["calibration"].startswith("160 images of photos, sha256 ")
    assert found["step"].startswith("quantize: for onnxruntime-")
    assert found["step"].endswith(", effort fast")
    assert culprit in found["  float"]
    assert found["  check"].startswith("32 images, SQNR ")
    assert "top-1 agreement " in found["  check"]
    assert " dB, " in found["  worst"]
    assert found["  budget"].startswith("top-1 agreement ")
    assert found["  budget"].endswith("80 % wanted, on 32 images kept aside, held")
    assert max(map(len, shown.splitlines())) <= 100
    assert not any(word in shown for word in ("{", "sqnr_db", "source_sha256", "top1_"))


def test_labelled_images_judge_a_drop_and_are_evaluated_once(edgecnn: Edgecnn) -> None:
    model, culprit = coarse_layer()
    file, photos = written(model), grey_photos("photos", 60)
    data = labelled_by(file, grey_photos("others", 150, seed=8), "labelled")
    options = ("--calibration", photos, "--data", data, "--max-drop", "10")
    said = edgecnn(*quantize(edgecnn, file, *options))
    assert said.code == 0, said.err
    judged = r"10 allowed on 150 labelled images of labelled, looked at \d times: held"
    assert re.search(judged, said.out)
    assert said.out.count("net.int8.onnx against net.onnx") == 1
    step = read_contract(Path("net.int8.onnx")).provenance["steps"][-1]
    assert culprit in step["float_layers"]
    assert step["budget"]["independent"] is True


def test_too_few_images_cannot_tell(edgecnn: Edgecnn) -> None:
    file, photos = written(toy.plain()), grey_photos("photos", 40)
    said = edgecnn(*quantize(edgecnn, file, "--calibration", photos, "--min-agreement", "97%"))
    assert said.code == 0
    assert "8 images kept aside: cannot tell" in said.out
    assert "8 images cannot tell whether the budget is held; about 130 would" in said.err


def test_a_missed_budget_writes_nothing_unless_the_loss_is_accepted(edgecnn: Edgecnn) -> None:
    file, photos = written(hopeless()), grey_photos("photos", 120)
    options = quantize(edgecnn, file, "--calibration", photos, "--min-agreement", "95%")
    said = edgecnn(*options)
    assert said.code == 1
    assert "95 % wanted: the best that was reached, with 0 layers in float" in said.err
    assert "--accept-loss" in said.err
    assert not list(Path().glob("net.int8*"))
    accepted = edgecnn(*options, "--accept-loss", "--json")
    assert accepted.code == 0
    assert "the budget is missed" in accepted.err
    step = read_contract(Path("net.int8.onnx")).provenance["steps"][-1]
    assert step["budget"]["verdict"] == "missed"
    told = accepted.document
    assert (told["budget"], told["float_layers"]) == (step["budget"], step["float_layers"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--max-drop", "0.5"), "needs labelled images"),
        (("--max-drop", "0.5", "--min-agreement", "97%"), "one budget at a time"),
        (("--accept-loss",), "goes with"),
        (("--min-agreement", "much"), "not a share like 97%"),
        (("--min-agreement", "170%"), "not a share like 97%"),
        (("--max-drop", "-1"), "not points like 0.5"),
        (("--max-drop", "0.5", "--data", "nowhere"), "no such folder"),
    ],
)
def test_a_budget_that_means_nothing_is_refused(
    edgecnn: Edgecnn, options: tuple[str, ...], words: str
) -> None:
    file = written(toy.plain())
    said = edgecnn(*quantize(edgecnn, file, "--calibration", "natural:16", *options))
    assert said.code != 0
    assert words in said.err
    assert not Path("net.int8.onnx").exists()


def put_output_shape(model: ModelProto, shape: tuple[int, ...]) -> None:
    dims = model.graph.output[0].type.tensor_type.shape.dim
    del dims[:]
    for size in shape:
        dims.add().dim_value = size


def test_a_network_without_classes_has_no_budget(edgecnn: Edgecnn, pictures: Path) -> None:
    net = toy.Net()
    model = net.model(net.conv(net.relu(net.conv("image", 8)), toy.CLASSES))
    put_output_shape(model, (1, toy.CLASSES, 16, 16))
    file = written(model)
    said = edgecnn(*quantize(edgecnn, file, "--calibration", pictures, "--min-agreement", "97%"))
    assert said.code == 2
    assert "no class for each image" in said.err
    said = edgecnn(*quantize(edgecnn, file, "--calibration", pictures))
    assert said.code == 0, said.err
    assert "% of the pixels agree" in said.out


def test_classes_on_the_last_axis_are_no_map(edgecnn: Edgecnn, pictures: Path) -> None:
    net = toy.Net()
    pooled = net.node("GlobalAveragePool", net.conv(net.relu(net.conv("image", 8)), toy.CLASSES))
    model = net.model(net.node("Transpose", pooled, perm=[0, 2, 3, 1]))
    put_output_shape(model, (1, 1, 1, toy.CLASSES))
    options = ("--calibration", pictures, "--min-agreement", "50%")
    said = edgecnn(*quantize(edgecnn, written(model), *options))
    assert said.code == 0, said.err
    assert re.search(r"^check .* top-1 agreement ", said.out, re.MULTILINE)


@pytest.mark.slow  # what other verbs show of processes, and the tests above of a budget
def test_as_a_process_of_its_own(tmp_path: Path) -> None:
    onnx.save(toy.plain(), tmp_path / "net.onnx")
    done = subprocess.run(
        [sys.executable, "-m", "edgecnn", "quantize", "net.onnx", *PREPARED, "--effort", "fast",
         "--calibration", "natural:20", "--min-agreement", "90%"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
        env={"EDGECNN_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "budget       top-1 agreement" in done.stdout
    assert "cannot tell" in done.stderr
