"""Jitter moves, turns and zooms each image on its own, and never past its limits."""

from __future__ import annotations

import torch

from edgecnn.training.augment import Jitter


def dots(count: int, *, background: float = -1.0) -> torch.Tensor:
    """A bright square of 5x5 in the middle of 33x33."""
    images = torch.full((count, 2, 33, 33), background)
    images[:, :, 14:19, 14:19] = 1.0
    return images


def jittered(jitter: Jitter, images: torch.Tensor, *, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return jitter(images, background=torch.tensor([-1.0, -1.0]), generator=generator)


def centres(images: torch.Tensor) -> torch.Tensor:
    """(n, 2): mean row and column of the light above the background, from the middle."""
    light = images[:, 0] + 1
    place = torch.arange(33) - 16.0
    total = light.sum((1, 2))
    rows = (light.sum(2) * place).sum(1) / total
    columns = (light.sum(1) * place).sum(1) / total
    return torch.stack([rows, columns], dim=1)


def test_no_jitter_changes_nothing() -> None:
    torch.testing.assert_close(jittered(Jitter(), dots(4)), dots(4), atol=1e-5, rtol=0)


def test_images_move_each_on_its_own_up_to_the_limit() -> None:
    moved = centres(jittered(Jitter(shift=0.1), dots(200)))
    assert moved.abs().max() <= 3.3 + 0.01
    assert moved.abs().max() > 2.8
    assert moved.mean(0).abs().max() < 0.5
    assert len(torch.unique(moved.round(decimals=3), dim=0)) > 190


def test_images_grow_and_shrink_up_to_the_limit() -> None:
    light = (jittered(Jitter(zoom=0.2), dots(200))[:, 0] + 1).sum((1, 2)) / 50
    assert 0.8**2 - 0.1 < light.min() < 0.8
    assert 1.25 < light.max() < 1.25**2 + 0.1


def test_images_turn_about_their_middle_without_being_bent() -> None:
    bar = torch.full((100, 2, 33, 33), -1.0)
    bar[:, :, 16, 6:27] = 1.0
    turned = jittered(Jitter(degrees=30), bar)
    assert centres(turned).abs().max() < 0.1
    light = (turned[:, 0] + 1).sum((1, 2)) / (bar[0, 0] + 1).sum()
    assert (light - 1).abs().max() < 0.1
    tilted = turned[:, 0, :8].amax((1, 2)) + turned[:, 0, -8:].amax((1, 2))
    assert (tilted == -2).all()  # 30 degrees lift the ends of the bar by five rows, no more


def test_what_comes_in_from_outside_is_background() -> None:
    filled = torch.full((50, 2, 33, 33), -1.0)
    moved = jittered(Jitter(degrees=45, shift=0.3, zoom=0.3), filled)
    torch.testing.assert_close(moved, filled)


def test_the_generator_decides() -> None:
    jitter = Jitter(degrees=10, shift=0.1, zoom=0.1)
    assert torch.equal(jittered(jitter, dots(3)), jittered(jitter, dots(3)))
    assert not torch.equal(jittered(jitter, dots(3)), jittered(jitter, dots(3), seed=1))
