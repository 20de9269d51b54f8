"""What torchvision says about its networks, and what we count, once for all tests."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

from edgecnn.zoo import find
from edgecnn.zoo.describe import ModelRow, describe

# Networks that we call otherwise.
OUR_NAMES = {
    "mobilenet_v2": "mobilenetv2",
    "mobilenet_v3_small": "mobilenetv3_small",
    "mobilenet_v3_large": "mobilenetv3_large",
    "ssdlite320_mobilenet_v3_large": "ssdlite320_mobilenetv3",
}
NOT_IN_THE_ZOO = ("shufflenet_v2_x1_0",)  # the example of docs/add-a-model.md


@cache
def _facts() -> dict[str, dict[str, object]]:
    content = (Path(__file__).parent / "torchvision_facts.json.gz").read_bytes()
    document: dict[str, dict[str, object]] = json.loads(gzip.decompress(content))
    return document


def torchvision_networks() -> tuple[str, ...]:
    return tuple(name for name in _facts()["state_dicts"] if name not in NOT_IN_THE_ZOO)


def state_dict(name: str) -> dict[str, list[int]]:
    """Parameter names and shapes, in the order of torchvision's state_dict()."""
    found = _facts()["state_dicts"][name]
    assert isinstance(found, dict)
    return found


def size(name: str) -> tuple[int, float]:
    """Parameters and GMAC."""
    found = _facts()["sizes"][name]
    assert isinstance(found, list)
    return found[0], found[1]


def torchvision_weights() -> tuple[tuple[str, str, dict[str, Any]], ...]:
    """Every set of weights: our network's name, the set's name, and what torchvision states."""
    keys = (key.rsplit(".", 1) for key in _facts()["weights"])
    return tuple(
        (OUR_NAMES.get(name, name), entry, weights(name, entry))
        for name, entry in keys
        if name not in NOT_IN_THE_ZOO
    )


def weights(name: str, entry: str) -> dict[str, Any]:
    """What torchvision states of one set of weights, under its own names."""
    found = _facts()["weights"][f"{name}.{entry}"]
    assert isinstance(found, dict)
    return found


@cache
def described(name: str) -> ModelRow:
    """Our figures."""
    return describe(find(name))
