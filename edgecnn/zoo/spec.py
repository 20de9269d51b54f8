"""What the catalog holds: networks, and the published weights that belong to them."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.contract import Preprocess, Task

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Published:
    """Accuracy in percent as its source states it; not measured here."""

    top1: float
    top5: float | None
    source: str


@dataclass(frozen=True, slots=True)
class WeightsSpec:
    """A published set of weights: a file to download, or one inside a Python package.

    `preprocess` is what these weights were evaluated with; `sha256_prefix` is as much of the
    file's sha256 as its publisher gives; `licence` is None where the publisher states none,
    `published` where the network does not classify.
    """

    tag: str
    file: str
    sha256_prefix: str
    preprocess: Preprocess
    published: Published | None
    url: str | None = None
    package: str | None = None
    licence: str | None = None


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A network: what it is called, how it is built and what is known about it.

    `builder` is "module:function" and `width` its argument of that name, if it is not 1;
    `preprocess` and `labels` belong to the network as its paper trains it; the first of `weights`
    is the default; `published` is what others state where there are no weights here.
    """

    name: str
    family: str
    title: str
    builder: str
    preprocess: Preprocess
    labels: str
    weights: tuple[WeightsSpec, ...] = ()
    task: Task = "classification"
    width: float = 1.0
    published: Published | None = None

    @property
    def build(self) -> Callable[..., nn.Module]:
        """The builder; all of its arguments are keywords, `num_classes` always among them."""
        module, function = self.builder.split(":")
        builder: Callable[..., nn.Module] = getattr(importlib.import_module(module), function)
        return builder if self.width == 1 else functools.partial(builder, width=self.width)

    def titled(self, arguments: Mapping[str, object]) -> str:
        """What a network built with these arguments is called: with its width, if that is another
        one than this network's.
        """
        width = arguments.get("width", self.width)
        if width == self.width:
            return self.title
        return f"{self.title.removesuffix(' 1.0')} {width:g}"

    @property
    def default_weights(self) -> WeightsSpec | None:
        """The weights that `official` means, or None where nobody publishes any."""
        return self.weights[0] if self.weights else None
