"""Parameters and multiply-accumulates are the published ones."""

from __future__ import annotations

import pytest

from edgecnn.zoo import names
from edgecnn.zoo.published_sizes import PUBLISHED_SIZES
from tests.zoo.facts import described

# Papers round, and some count the biases or the fractions of a last batch norm otherwise.
ROUNDED = {
    "the paper": 0.05,
    "EfficientNet-Lite's README": 0.015,
    "Keras, torchvision": 0.005,
    "tensorflow/models, slim": 0.015,
}
# Stated by others than its authors, and not what its paper describes; the page says so.
NOT_AS_DESCRIBED = {"fractalnet": 33.734922}


@pytest.mark.parametrize("name", PUBLISHED_SIZES)
def test_sizes_are_the_published_ones(name: str) -> None:
    row, published = described(name), PUBLISHED_SIZES[name]
    relative = ROUNDED.get(published.source, 5e-7)
    if name in NOT_AS_DESCRIBED:
        assert row.parameters / 1e6 == NOT_AS_DESCRIBED[name] != published.million_parameters
        return
    if published.million_parameters < 1:
        relative = 0.07  # one digit is all that is stated
    assert row.parameters / 1e6 == pytest.approx(published.million_parameters, rel=relative)
    if published.million_macs is not None:
        counts_more = published.source.startswith("EfficientNet-Lite")
        low, high = (0.94, 1.0) if counts_more else (0.99, 1.01)
        assert low < row.macs / 1e6 / published.million_macs < high


@pytest.mark.parametrize(
    ("name", "million_parameters", "gmac"),
    [
        ("alexnet", 61.1, None),
        ("vgg16", 138.4, 15.5),
        ("googlenet", 6.6, 1.5),
        ("resnet50", 25.6, 4.1),
        ("resnet101", 44.5, None),
        ("inception_v3", 23.8, None),
        ("xception", 22.9, None),
        ("densenet121", 8.0, None),
        ("densenet169", 14.1, None),
        ("densenet201", 20.0, None),
        ("efficientnet_b0", 5.3, None),
        ("efficientnet_b2", 9.1, None),
        ("mobilenetv1", 4.2, 0.57),
        ("mobilenetv2", 3.5, 0.30),
    ],
)
def test_the_figures_that_everybody_quotes(
    name: str, million_parameters: float, gmac: float | None
) -> None:
    row = described(name)
    assert row.parameters / 1e6 == pytest.approx(million_parameters, abs=0.05)
    if gmac is not None:
        assert row.macs / 1e9 == pytest.approx(gmac, rel=0.02)


def test_figures_that_are_known_to_the_last_digit() -> None:
    exact = {
        "lenet5": 61_706,
        "xception": 22_855_952,
        "mobilenetv1": 4_231_976,
        "unet": 31_030_658,
        "resnet20": 269_722,
        "plain34": 21_797_672 - (64 * 128 + 128 * 256 + 256 * 512) - 2 * (128 + 256 + 512),
    }
    assert {name: described(name).parameters for name in exact} == exact


def test_every_size_belongs_to_a_network() -> None:
    assert set(PUBLISHED_SIZES) <= set(names())
