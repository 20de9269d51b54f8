"""The pages about the zoo say what the zoo is, and how it grows."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from edgecnn.zoo import ModelSpec, catalog, find, names, torchvision_weights
from edgecnn.zoo.describe import describe
from edgecnn.zoo.page import with_table
from tests.zoo.facts import size, state_dict

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "zoo.md").read_text(encoding="utf-8")


def test_the_table_is_what_the_code_says() -> None:
    assert with_table(PAGE) == PAGE


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
    assert find(name).name == name


# Adding a network as the page shows it.

FILE, LINE, WEIGHTS = re.findall(
    r"```python\n(.*?)```", (DOCS / "add-a-model.md").read_text(encoding="utf-8"), re.DOTALL
)


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    """The page's network, from its file and its line."""
    module = ModuleType("edgecnn.zoo.shufflenetv2")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(FILE, "shufflenetv2.py", "exec"), vars(module))
    monkeypatch.setattr(
        torchvision_weights,
        "_SETS",
        {**torchvision_weights._SETS, **eval(f"{{{WEIGHTS}}}", vars(torchvision_weights))},
    )
    spec = eval(LINE.strip(), vars(catalog))
    assert isinstance(spec, ModelSpec)
    return spec


def test_a_file_and_a_line_add_a_network(added: ModelSpec) -> None:
    row = describe(added)
    parameters, gmac = size("shufflenet_v2_x1_0")
    assert row.parameters == parameters
    assert round(row.macs / 1e9, 3) == gmac
    figures = f"({row.parameters / 1e6:.2f} M parameters, {row.macs / 1e6:.2f} M MACs)"
    assert figures in (DOCS / "add-a-model.md").read_text(encoding="utf-8")
    assert row.published is not None
    assert row.published.top1 == 69.362


def test_the_added_network_has_torchvisions_names_and_works(added: ModelSpec) -> None:
    network = added.build(num_classes=1000).eval()
    found = {key: list(tensor.shape) for key, tensor in network.state_dict().items()}
    assert found == state_dict("shufflenet_v2_x1_0")
    with torch.no_grad():
        assert network(torch.randn(2, 3, 64, 64)).shape == (2, 1000)


def test_the_shuffle_takes_a_channel_of_each_half_in_turn(added: ModelSpec) -> None:
    added.build()
    block = vars(sys.modules["edgecnn.zoo.shufflenetv2"])["Block"](8, 8, 1).eval()
    maps = torch.randn(1, 8, 4, 4)
    shuffled = block(maps)
    assert torch.equal(shuffled[:, ::2], maps[:, :4])
    assert torch.equal(shuffled[:, 1::2], block.branch2(maps[:, 4:]))
