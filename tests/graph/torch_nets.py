"""Small PyTorch networks, each with one thing that exporters stumble over, and images for them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

SHAPE = (1, 3, 16, 16)


def images(count: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    return tuple(rng.normal(size=SHAPE).astype(np.float32) for _ in range(count))


class Residual(nn.Module):
    """What a MobileNetV2 is made of: ReLU6, a depthwise layer, a shortcut, a mean, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6()
        )
        self.block = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU6(),
            nn.Conv2d(8, 8, 1),
        )
        self.dropout = nn.Dropout()
        self.classifier = nn.Linear(8, 5)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.stem(images)
        maps = maps + self.block(maps)
        logits: Tensor = self.classifier(self.dropout(torch.flatten(maps.mean((2, 3), True), 1)))
        return logits


class Layers(nn.Module):
    """Any function of the images."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images).flatten(1)
        return logits


class Pooled(nn.Module):
    """An adaptive pool to the size that is there already, then a mean that drops its axes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(16)

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.pool(self.conv(images))
        return maps.mean((2, 3))


class LargestOfMap(nn.Module):
    """A maximum over axes, which opset 18 writes in another way than 17."""

    def forward(self, images: Tensor) -> Tensor:
        return images.amax((2, 3))


class Folded(nn.Module):
    """Patches put back together, an operator that is new in opset 18."""

    def forward(self, images: Tensor) -> Tensor:
        return functional.fold(
            functional.unfold(images, 2, stride=2), images.shape[2:], 2, stride=2
        ).flatten(1)


class Pair(nn.Module):
    """Two answers."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images, images


class Halves(nn.Module):
    """Two answers of different shapes, as a detector has them."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        pixels = images.flatten(2).permute(0, 2, 1)
        return pixels[..., :2] * 2, functional.relu(pixels)


class Branch(nn.Module):
    """Another path for bright images than for dark ones."""

    def forward(self, images: Tensor) -> Tensor:
        if images.mean() > 0:
            return images.flatten(1)
        return -images.flatten(1)


class Noisy(nn.Module):
    """Dropout that forgets about evaluation mode."""

    def forward(self, images: Tensor) -> Tensor:
        return functional.dropout(images.flatten(1), training=True)


class SingularValues(nn.Module):
    """An operation that ONNX has no word for."""

    def forward(self, images: Tensor) -> Tensor:
        values: Tensor = torch.linalg.svdvals(images)
        return values.flatten(1)


class OneRow(nn.Module):
    """All images of a batch in one row."""

    def forward(self, images: Tensor) -> Tensor:
        return images.reshape(1, -1)


def residual(seed: int = 0) -> Residual:
    """A Residual whose batch norms have seen data."""
    torch.manual_seed(seed)
    network = Residual()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.bias)
            nn.init.normal_(layer.running_mean)  # type: ignore[arg-type]
            nn.init.uniform_(layer.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    return network
