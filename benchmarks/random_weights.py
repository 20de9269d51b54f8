"""Weights that nobody trained, of a network that tells natural images apart all the same.

A deep network with random weights gives nearly the same answer to all images, of which INT8 leaves
only noise: no engine's answers could be judged, whose noise is another's. So its norms are given
the statistics of natural images, and each class of its last layer is the direction in which a
natural image's features lie from the mean of them: as in a trained network, the answer is read
where features differ most. Latency does not depend on any of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from edgecnn.contract import Preprocess
from edgecnn.datasets.natural import natural_image
from edgecnn.runtime.cache import cache_dir
from edgecnn.runtime.preprocess import preprocess_batch
from edgecnn.zoo.catalog import find
from edgecnn.zoo.weights import load_weights

_BATCH = 8
_NORM_IMAGES = 32
_CLASS_IMAGES = 128
_SIDE = 256  # pixels, as calibration draws them
_LOGITS_STD = 2.0  # of trained networks


def random_weights(name: str, target: Path) -> Path:
    """Write them to `target`, unless it is there."""
    if not target.exists():
        specification = find(name)
        network = load_weights(specification, "random", seed=0, cache=cache_dir()).module
        with torch.no_grad():
            _learn_norms(network, specification.preprocess)
            _learn_classes(network, specification.preprocess)
        torch.save(network.state_dict(), target)
    return target


def _learn_norms(network: nn.Module, recipe: Preprocess) -> None:
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # the mean over all batches
    network.train()
    for batch in _batches(_NORM_IMAGES, recipe, seed=5):
        network(batch)
    network.eval()


def _learn_classes(network: nn.Module, recipe: Preprocess) -> None:
    """Class i is natural image i; where there are more classes, others lie between two images."""
    *_, last = (each for each in network.modules() if isinstance(each, (nn.Linear, nn.Conv2d)))
    features = _inputs_of(last, network, recipe)
    middle = features.mean(dim=0)
    away = features - middle
    classes = len(last.weight)
    pairs = torch.randint(len(away), (2, classes), generator=torch.Generator().manual_seed(0))
    directions = torch.cat([away, away[pairs].mean(dim=0)])[:classes]
    directions *= _LOGITS_STD / (away @ directions.T).std()
    last.weight.copy_(directions.reshape(last.weight.shape))
    if last.bias is not None:
        last.bias.copy_(-directions @ middle)


def _inputs_of(layer: nn.Module, network: nn.Module, recipe: Preprocess) -> Tensor:
    """What a layer is given for each image, (images, channels), averaged over a map's places."""
    found: list[Tensor] = []

    def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        found.append(inputs[0].flatten(2).mean(dim=2) if inputs[0].ndim > 2 else inputs[0])

    with_note = layer.register_forward_pre_hook(note)
    for batch in _batches(_CLASS_IMAGES, recipe, seed=0):
        network(batch)
    with_note.remove()
    return torch.cat(found)


def _batches(count: int, recipe: Preprocess, *, seed: int) -> Iterator[Tensor]:
    for start in range(0, count, _BATCH):
        images = tuple(
            natural_image(index, height=_SIDE, width=_SIDE, seed=seed)
            for index in range(start, start + _BATCH)
        )
        yield torch.from_numpy(preprocess_batch(images, recipe))
