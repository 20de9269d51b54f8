"""Weights that nobody trained, of a network that tells natural images apart all the same.

A deep network with random weights gives nearly the same answer to all images, of which INT8 leaves
only noise, another one in each engine: no engine's answers could be judged. So its norms are given
the statistics of natural images, and its classes are the directions in which the features of
natural images differ most: there a trained network's answer is read, too. Latency does not depend
on any of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from edgecnn.contract import Preprocess
from edgecnn.datasets.natural import natural_image
from edgecnn.runtime.cache import cache_dir
from edgecnn.runtime.preprocess import preprocess_batch
from edgecnn.zoo.catalog import find
from edgecnn.zoo.weights import load_weights

_BATCHES, _BATCH = 4, 8
_SIDE = 256  # pixels, as calibration draws them
_LOGITS_STD = 2.0  # of trained networks
_WEAK = 0.5


def random_weights(name: str, target: Path) -> Path:
    """Write them to `target`, unless it is there."""
    if not target.exists():
        specification = find(name)
        network = load_weights(specification, "random", seed=0, cache=cache_dir()).module
        batches = [_batch(index, specification.preprocess) for index in range(_BATCHES)]
        with torch.no_grad():
            _learn_norms(network, batches)
            _learn_classes(network, batches)
        torch.save(network.state_dict(), target)
    return target


def _batch(index: int, recipe: Preprocess) -> Tensor:
    """Natural images as the network's input, others for each index."""
    images = tuple(
        natural_image(number, height=_SIDE, width=_SIDE, seed=5)
        for number in range(index * _BATCH, (index + 1) * _BATCH)
    )
    return torch.from_numpy(preprocess_batch(images, recipe))


def _learn_norms(network: nn.Module, batches: Sequence[Tensor]) -> None:
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # the mean over all batches
    network.train()
    for batch in batches:
        network(batch)
    network.eval()


def _learn_classes(network: nn.Module, batches: Sequence[Tensor]) -> None:
    """Both sides of each principal direction of the features; further classes are weak mixtures."""
    *_, last = (each for each in network.modules() if isinstance(each, (nn.Linear, nn.Conv2d)))
    features = _inputs_of(last, network, batches)
    middle = features.mean(dim=0)
    _, spreads, directions = torch.linalg.svd(features - middle, full_matrices=False)
    principal = spreads[:, None] * directions
    random = torch.Generator().manual_seed(0)
    mixing = torch.randn(len(last.weight), len(principal), generator=random)
    mixed = _WEAK * mixing @ principal / len(principal) ** 0.5
    rows = torch.stack([principal, -principal], dim=1).flatten(0, 1)
    rows = torch.cat([rows, mixed])[: len(last.weight)]
    rows *= _LOGITS_STD / ((features - middle) @ rows.T).std()
    last.weight.copy_(rows.reshape(last.weight.shape))
    if last.bias is not None:
        last.bias.copy_(-rows @ middle)


def _inputs_of(layer: nn.Module, network: nn.Module, batches: Sequence[Tensor]) -> Tensor:
    """What a layer is given for each image, (images, channels), averaged over a map's places."""
    found: list[Tensor] = []

    def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        found.append(inputs[0].flatten(2).mean(dim=2) if inputs[0].ndim > 2 else inputs[0])

    hook = layer.register_forward_pre_hook(note)
    for batch in batches:
        network(batch)
    hook.remove()
    return torch.cat(found)
