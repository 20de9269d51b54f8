"""The pages about the zoo say what the zoo is, and how it grows."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgecnn.devices.boards import BOARDS
from edgecnn.zoo import find, names
from edgecnn.zoo.arithmetic import (
    conv_macs,
    conv_output,
    conv_parameters,
    linear_parameters,
    receptive_field,
)
from edgecnn.zoo.describe import describe
from edgecnn.zoo.figures import FILE as FIGURES
from edgecnn.zoo.outline import count
from edgecnn.zoo.page import with_table
from tests.zoo.facts import size, state_dict, weights

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "zoo.md").read_text(encoding="utf-8")


def test_the_table_is_what_the_code_says() -> None:
    assert with_table(PAGE) == PAGE


def test_kept_figures_are_what_the_code_counts() -> None:
    kept = json.loads(FIGURES.read_text(encoding="utf-8"))
    assert kept == {name: list(count(find(name))) for name in names()}


def test_a_network_that_is_not_the_catalogs_is_counted() -> None:
    narrow = replace(find("resnet18"), width=0.125)
    assert describe(narrow).parameters == count(narrow)[0] < describe(find("resnet18")).parameters


def test_every_network_is_in_the_table() -> None:
    rows = [
        line.strip("| ").split(" | ")
        for line in PAGE.partition("<!-- table: begin -->\n")[2].splitlines()
    ]
    rows = rows[: rows.index(["<!-- table: end -->"])]
    assert [row[0].strip("`") for row in rows[2:]] == list(names())
    assert {len(row) for row in rows} == {9}
    assert rows[2 + names().index("resnet50")] == [
        *("`resnet50`", "3x224x224", "25.56 M", "25.56 M", "4,089.18 M", "4,089 M", "torchvision"),
        *("80.86 %", "torchvision, ImageNet-1k validation, IMAGENET1K_V2"),
    ]


def test_a_page_without_a_place_for_the_table() -> None:
    with pytest.raises(ValueError, match="the page has no <!-- table: begin -->"):
        with_table("# The zoo\n")


def test_what_can_be_asked_for_is_listed() -> None:
    assert describe(find("resnet50")).weights == ("official:v2", "official:v1")
    assert describe(find("lenet5")).weights == ()
    for lite in ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"):
        (choice,) = describe(find(lite)).weights
        assert choice.removeprefix("package ") in PAGE


@pytest.mark.parametrize("name", re.findall(r"`(mobilenetv\d_[\d._]+)`", PAGE))
def test_names_on_the_page_are_found(name: str) -> None:
    assert find(name).family.casefold() == name.partition("_")[0]
    assert find(find(name).name) == find(name)


def test_every_board_is_on_the_page() -> None:
    told = PAGE.partition("Boards: ")[2].partition(".")[0]
    assert re.findall(r"`([\w-]+)`", told) == [board.name for board in BOARDS]


# The worked examples of the page, from the helpers that count everything else here.


def test_the_bottleneck_of_the_page() -> None:
    side = (28, 28)
    direct = conv_macs(192, 32, (5, 5), output=side)
    down = conv_macs(192, 16, (1, 1), output=side)
    up = conv_macs(16, 32, (5, 5), output=side)
    assert f"28 x 28 x 32 x (5 x 5 x 192) = {direct:,}" in PAGE
    assert f"{down:,} + {up:,} = {down + up:,}" in PAGE
    assert f"{direct / 1e6:.1f} M" in PAGE
    assert f"{(down + up) / 1e6:.1f} M" in PAGE


def test_the_separable_convolution_of_the_page() -> None:
    side = (conv_output(6, 3), conv_output(6, 3))
    assert side == (4, 4)
    full = conv_macs(3, 5, (3, 3), output=side)
    depthwise = conv_macs(3, 3, (3, 3), output=side, groups=3)
    pointwise = conv_macs(3, 5, (1, 1), output=side)
    assert f"4 x 4 x 5 x (3 x 3 x 3) = {full:,}" in PAGE
    assert f"{depthwise} + {pointwise} = {depthwise + pointwise}" in PAGE
    assert "2,196" in PAGE
    assert 2196 % (4 * 4 * 5) != 0


def test_how_the_page_counts_one_layer() -> None:
    stem = conv_parameters(3, 64, (3, 3))
    assert f"(3 x 3 x 3 + 1) x 64 = {stem:,}" in PAGE
    assert f"{conv_macs(3, 64, (3, 3), output=(224, 224)):,}" in PAGE
    assert f"(25,088 + 1) x 4,096 = {linear_parameters(25_088, 4096):,}" in PAGE
    assert receptive_field([(3, 1, 1), (3, 1, 1)]) == 5
    sees = receptive_field([(3, 1, 1), (3, 1, 1), (2, 2, 1), (3, 1, 1)])
    assert f"{sees} pixels" in PAGE


# Adding a network as the page shows it, in a copy of the package.

GUIDE = (DOCS / "add-a-model.md").read_text(encoding="utf-8")
FILE, SPECS, WEIGHTS = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
LINE = SPECS.partition("...,\n")[2].removesuffix(")\n")

LOOK = """
import dataclasses, json, torch
from edgecnn.zoo import find, names
from edgecnn.zoo.describe import describe
from edgecnn.zoo.layers import layer_table
from edgecnn.zoo.page import zoo_table

torch.manual_seed(0)
spec = find("shufflenetv2")
network = spec.build(num_classes=1000).eval()
with torch.no_grad():
    answer = network(torch.randn(2, 3, 64, 64))
    block, maps = network.stage2[1].eval(), torch.randn(1, 116, 4, 4)
    shuffled = block(maps)
print(json.dumps({
    "row": dataclasses.asdict(describe(spec)),
    "macs of layers": layer_table(network, spec.preprocess.tensor_shape()).macs,
    "title": find(spec.title).name,
    "listed": spec.name in names(),
    "table": zoo_table(),
    "shapes": {key: list(tensor.shape) for key, tensor in network.state_dict().items()},
    "answer": list(answer.shape),
    "shuffled": [
        torch.equal(shuffled[:, ::2], maps[:, :58]),
        torch.equal(shuffled[:, 1::2], block.branch2(maps[:, 58:])),
    ],
}))
"""


def insert(path: Path, anchor: str, line: str) -> None:
    before, found, after = path.read_text(encoding="utf-8").partition(anchor)
    assert found
    path.write_text(before + found + line + after, encoding="utf-8")


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package, in which the page was followed to the letter."""
    folder = tmp_path_factory.mktemp("grown")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(DOCS.parent / "edgecnn", folder / "edgecnn", ignore=ignored)
    zoo = folder / "edgecnn" / "zoo"
    (zoo / "shufflenetv2.py").write_text(FILE, encoding="utf-8")
    insert(zoo / "catalog.py", "_SPECS = (\n", LINE)
    insert(zoo / "torchvision_weights.py", "_SETS = {\n", WEIGHTS)
    return folder


def run(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = (sys.executable, *arguments)
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def added(grown: Path) -> dict[str, Any]:
    """What the grown package knows of its new network."""
    found: dict[str, Any] = json.loads(run(grown, "-c", LOOK))
    return found


def test_a_file_and_a_line_add_a_network(added: dict[str, Any]) -> None:
    row, (parameters, gmac) = added["row"], size("shufflenet_v2_x1_0")
    assert row["parameters"] == parameters
    assert round(row["macs"] / 1e9, 3) == gmac
    assert row["macs"] == added["macs of layers"]
    assert f"({parameters / 1e6:.2f} M parameters, {row['macs'] / 1e6:.2f} M MACs)" in GUIDE
    facts = weights("shufflenet_v2_x1_0", "IMAGENET1K_V1")
    assert (row["published"]["top1"], row["published"]["top5"]) == (facts["top1"], facts["top5"])
    assert facts["url"].rpartition("/")[2] in WEIGHTS
    assert (added["listed"], added["title"]) == (True, "shufflenetv2")
    assert "| `shufflenetv2` | 3x224x224 | 2.28 M |" in added["table"]


def test_the_added_network_has_torchvisions_names_and_works(added: dict[str, Any]) -> None:
    assert added["shapes"] == state_dict("shufflenet_v2_x1_0")
    assert added["answer"] == [2, 1000]


def test_the_shuffle_takes_a_channel_of_each_half_in_turn(added: dict[str, Any]) -> None:
    assert added["shuffled"] == [True, True]


@pytest.mark.slow
def test_the_tests_take_the_added_network_up(grown: Path) -> None:
    """With the figures renewed by the page's own command, no test has to be edited."""
    root = DOCS.parent
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("tests", "docs", "recipes", "benchmarks"):
        shutil.copytree(root / folder, grown / folder, ignore=ignored)
    shutil.copy(root / "pyproject.toml", grown)
    (command,) = re.findall(r"^python -m (.*)$", GUIDE, re.MULTILINE)
    run(grown, "-m", *command.split())
    chosen = "shufflenet or one_of_each or every or table or title or tasks or labels or known"
    files = ("tests/zoo", "tests/pipeline/test_zoo.py", "tests/cli/test_models.py")
    told = run(grown, "-m", "pytest", "-v", "-m", "not slow", *files, "-k", chosen)
    assert "test_a_network_goes_all_the_way[shufflenetv2] PASSED" in told
    assert "test_a_title_is_a_name_too[shufflenetv2] PASSED" in told
