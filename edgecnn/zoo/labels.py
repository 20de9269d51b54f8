"""The class names that networks were trained with."""

from __future__ import annotations

from importlib import resources

from edgecnn.errors import UsageError

_WORDS = {
    "digits": tuple("0123456789"),
    "cells": ("background", "cell"),
    "cifar10": (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ),
}
_FILES = ("imagenet1k", "coco91")


def load_labels(name: str) -> tuple[str, ...]:
    """The names of a label set's classes in order.

    `imagenet1k` (1000), `coco91` (background, 80 classes and the numbers COCO left out), `cifar10`,
    `digits` and `cells` (background and cell). Raises UsageError for another name.
    """
    if name in _WORDS:
        return _WORDS[name]
    if name in _FILES:
        text = resources.files("edgecnn.zoo").joinpath(f"labels/{name}.txt").read_text("utf-8")
        return tuple(text.splitlines())
    raise UsageError(
        f"there is no label set named {name!r}", hint=f"known are {', '.join((*_WORDS, *_FILES))}"
    )
