"""Networks of the zoo at their full size, with random weights, through the whole export.

All of them at a small size: tests/pipeline/zoo_way.py.
"""

from __future__ import annotations

import pytest

from edgecnn.datasets.natural import natural_images
from edgecnn.graph.export import export_checked
from edgecnn.runtime.preprocess import preprocess
from edgecnn.zoo.catalog import find
from edgecnn.zoo.randomize import random_network
from tests.graph.zoo_graph import check_graph

# Pools over single pixels and paddings at the edges differ with the size.
SLOW = (
    *("alexnet", "squeezenet1_1", "inception_v3", "googlenet", "mobilenetv3_small"),
    "efficientnet_lite0",
)


@pytest.mark.parametrize(
    "name",
    ["lenet5", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)],
)
def test_a_network_of_the_zoo(name: str) -> None:
    spec = find(name)
    module = random_network(spec, seed=0)
    height, width = spec.preprocess.size
    images = natural_images(2, height=height, width=width, seed=1)
    exported = export_checked(
        module,
        input_shape=spec.preprocess.tensor_shape(),
        images=[preprocess(image, spec.preprocess) for image in images],
    )
    assert exported.parity.rel < 2e-5
    check_graph(name, module, exported)
