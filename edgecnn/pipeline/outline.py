"""A network layer by layer, wherever it comes from: the values of its weights do not matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.errors import EdgecnnError, UsageError
from edgecnn.graph.torch_errors import does_not_run
from edgecnn.pipeline.contracts import ContractOptions
from edgecnn.pipeline.narrator import Silent
from edgecnn.pipeline.sources import Network, is_checkpoint, load_network

if TYPE_CHECKING:
    from torch import nn

    from edgecnn.zoo.layers import LayerTable

Size = tuple[int, int]
Shape = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Outline:
    """A network's layers for one image; `input_shape` is (1, C, H, W)."""

    name: str
    title: str
    input_shape: Shape
    table: LayerTable


def outline(model: str, *, size: Size | None = None) -> Outline:
    """The layers of the network that `model` names (see `sources`), for images of (height, width).

    `size` is the network's own where it is not given; nothing is downloaded. Raises UsageError or
    WeightsError where there is no such network, GraphError where it does not take such images.
    """
    if is_checkpoint(model) or ":" in model:
        return _of_any(model, size)
    from edgecnn.zoo.catalog import find
    from edgecnn.zoo.outline import bare

    spec = find(model)
    _, channels, *own = spec.preprocess.tensor_shape()
    shape = (1, channels, *(size or own))
    # Of a network of ours no value is computed, not even of a weight.
    table = _table(bare(spec), shape, title=spec.title, images=0)
    return Outline(spec.name, spec.title, shape, table)


def _of_any(model: str, size: Size | None) -> Outline:
    from edgecnn.zoo.outline import channels

    network = _network(model, size)
    shape = (1, channels(network.module), *(size or network.preprocess.size))
    table = _table(network.module, shape, title=network.title, images=1)
    return Outline(network.name, network.title, shape, table)


def _network(model: str, size: Size | None) -> Network:
    source, colon, _ = model.rpartition(":")
    is_library = source in ("torchvision", "timm")
    said = ContractOptions()
    if colon and not is_library and not is_checkpoint(model):
        if size is None:
            raise UsageError(
                f"{model}: it is not said how large its images are", hint="say it: --size 224"
            )
        said = ContractOptions(size=size, mean=(0.0,), std=(1.0,))
    weights = "random" if is_library else None
    return load_network(model, weights=weights, seed=0, contract=said, narrator=Silent())


def _table(network: nn.Module, shape: Shape, *, title: str, images: int) -> LayerTable:
    from edgecnn.zoo.layers import layer_table

    try:
        return layer_table(network, shape, images=images)
    except EdgecnnError:
        raise
    except Exception as error:  # whatever a network of somebody's raises
        raise does_not_run(error, title, shape) from error
