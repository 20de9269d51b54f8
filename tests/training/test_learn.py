"""The loop for photos: it learns, resumes after a kill to the same bits, and keeps the best."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgecnn.errors import DataError, UsageError
from edgecnn.training.learn import Epoch, Learner, class_weights
from edgecnn.training.schedule import Progress, Schedule

QUICK = Schedule(epochs=8, learning_rate=0.05, batch=16, ema=0.9, mixup=0.2)


class Rings:
    """Points near the middle are class 0, those around them class 1; every fifth is watched."""

    def __init__(self, count: int = 160, share: float = 0.5) -> None:
        generator = torch.Generator().manual_seed(0)
        self.labels = (torch.rand(count, generator=generator) < share).long()
        radius = 1 + self.labels + 0.2 * torch.randn(count, generator=generator)
        angle = torch.rand(count, generator=generator) * 6.28
        self.points = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)

    steps = 8

    def train(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(128, generator=torch.Generator().manual_seed(epoch))
        for chosen in order.view(self.steps, 16):
            yield self.points[chosen], self.labels[chosen]

    def watched(self) -> Iterator[tuple[Tensor, Tensor]]:
        yield self.points[128:], self.labels[128:]


class Unwatched(Rings):
    def watched(self) -> Iterator[tuple[Tensor, Tensor]]:
        yield from ()


def toy() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 2)
        )


def learner(network: nn.Module, schedule: Schedule = QUICK) -> Learner:
    return Learner(network, schedule, mode=lambda: network.train())


def bits(network: nn.Module) -> Tensor:
    return torch.cat([value.flatten().double() for value in network.state_dict().values()])


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_it_learns_what_there_is_to_learn(optimizer: str) -> None:
    network = toy()
    schedule = replace(QUICK, epochs=20, optimizer=optimizer)  # type: ignore[arg-type]
    epochs = learner(network, schedule).learn(Rings())
    assert max(epoch.watched_accuracy or 0 for epoch in epochs) > 0.9
    assert not network.training


def test_a_rate_that_is_too_high_ends_it_at_once() -> None:
    heard: list[Epoch] = []
    with pytest.raises(DataError, match="no numbers any more after epoch 1"):
        learner(toy(), replace(QUICK, learning_rate=1e30)).learn(Rings(), heard=heard.append)
    assert not heard


def test_a_killed_training_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole, broken = toy(), toy()
    learner(whole).learn(Rings())

    def dies(epoch: Epoch) -> None:
        if epoch.number == 3:
            raise KeyboardInterrupt

    progress = Progress(tmp_path / "state")
    with pytest.raises(KeyboardInterrupt):
        learner(broken).learn(Rings(), progress=progress, heard=dies)
    heard: list[int] = []
    again = toy()
    epochs = learner(again).learn(
        Rings(), progress=progress, heard=lambda epoch: heard.append(epoch.number)
    )
    assert heard == [4, 5, 6, 7, 8]
    assert [epoch.number for epoch in epochs] == list(range(1, 9))
    assert torch.equal(bits(again), bits(whole))
    progress.forget()
    assert progress.recall() is None


def test_a_damaged_state_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"damaged")
    network, whole = toy(), toy()
    learner(network).learn(Rings(), progress=Progress(tmp_path / "state"))
    learner(whole).learn(Rings())
    assert torch.equal(bits(network), bits(whole))


def test_it_leaves_the_callers_generator_alone() -> None:
    state = torch.random.get_rng_state()
    learner(toy()).learn(Rings())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_it_stops_where_nothing_gets_better_and_keeps_the_best() -> None:
    network = toy()
    schedule = replace(QUICK, epochs=60, patience=3)
    epochs = learner(network, schedule).learn(Rings())
    assert len(epochs) < 60
    best = max(epoch.watched_accuracy or 0 for epoch in epochs)
    ((points, labels),) = Rings().watched()
    found = float((network(points).argmax(1) == labels).double().mean())
    assert found == best


def test_without_watched_photos_the_last_state_counts() -> None:
    network = toy()
    epochs = learner(network, replace(QUICK, patience=2)).learn(Unwatched())
    assert len(epochs) == QUICK.epochs
    assert epochs[-1].watched_accuracy is None


def test_the_last_layer_may_learn_faster_than_the_rest() -> None:
    slow, eager = toy(), toy()
    schedule = replace(QUICK, epochs=1, learning_rate=1e-5, mixup=0.0)
    learner(slow, schedule).learn(Rings())
    learner(eager, replace(schedule, head_rate=100.0)).learn(Rings())
    begin = toy().state_dict()
    moved = [
        [float((net.state_dict()[at] - begin[at]).abs().mean()) for at in ("0.weight", "4.weight")]
        for net in (slow, eager)
    ]
    assert moved[1][1] > 20 * moved[0][1]
    assert moved[1][0] < 2 * moved[0][0]


def test_a_rare_class_weighs_more() -> None:
    weights = class_weights(np.array([10, 30]))
    assert weights.tolist() == [2.0, pytest.approx(2 / 3)]
    plain, balanced = toy(), toy()
    rare = Rings(share=0.06)
    schedule = replace(QUICK, mixup=0.0, ema=0.0, epochs=4)
    Learner(plain, schedule, mode=lambda: plain.train()).learn(rare)
    counts = torch.bincount(rare.labels[:128], minlength=2).numpy()
    Learner(
        balanced, schedule, mode=lambda: balanced.train(), class_weights=class_weights(counts)
    ).learn(rare)
    shown = [int((net(rare.points).argmax(1) == 1).sum()) for net in (plain, balanced)]
    assert shown[1] > shown[0]


@pytest.mark.parametrize(
    "values",
    [
        {"epochs": 0},
        {"batch": 1},
        {"learning_rate": 0.0},
        {"ema": 1.0},
        {"label_smoothing": 1.0},
        {"seed": -1},
    ],
)
def test_schedules_that_cannot_be_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="cannot be"):
        replace(QUICK, **values)  # type: ignore[arg-type]
