"""Networks of the zoo with fewer layers, where fewer channels would not make them quick to test."""

from __future__ import annotations

from functools import partial

from edgecnn.zoo.densenet import DenseNet

densenet = partial(DenseNet, (2, 2, 2, 2))
