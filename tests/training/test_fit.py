"""The loop learns what there is to learn, the same way every time, and refuses what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from edgecnn.errors import UsageError
from edgecnn.training.augment import Jitter
from edgecnn.training.fit import Examples, FitOptions, accuracy, fit
from edgecnn.training.schedule import Progress

QUICK = FitOptions(epochs=6, batch=16, learning_rate=1e-2)


def bars(count: int = 128) -> Examples:
    """Class 0 is a horizontal bar, class 1 an upright one, on a background of -1."""
    generator = torch.Generator().manual_seed(1)
    images = torch.full((count, 1, 8, 8), -1.0)
    labels = torch.arange(count) % 2
    for index, place in enumerate(torch.randint(1, 7, (count,), generator=generator).tolist()):
        if labels[index]:
            images[index, 0, :, place] = 1.0
        else:
            images[index, 0, place, :] = 1.0
    return Examples(images, labels, background=torch.tensor([-1.0]))


def toy(seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
            nn.Dropout(0.1),
            nn.Linear(4, 2),
        )


def weights(network: nn.Module) -> torch.Tensor:
    return torch.cat([value.flatten() for value in network.state_dict().values()])


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_network_learns_what_the_examples_show(optimizer: str) -> None:
    network, examples = toy(), bars()
    before = accuracy(network, examples)
    options = FitOptions(epochs=10, batch=16, optimizer=optimizer, learning_rate=2e-2)  # type: ignore[arg-type]
    fit(network, examples, options)
    assert accuracy(network, examples) > max(before, 0.98)
    assert not network.training
    assert all(value.is_contiguous() for value in network.parameters())


def test_training_again_gives_the_same_bits_and_another_seed_others() -> None:
    jittered = FitOptions(epochs=2, batch=16, jitter=Jitter(degrees=10, shift=0.1, zoom=0.1))
    other = FitOptions(epochs=2, batch=16, jitter=jittered.jitter, seed=1)
    results = []
    for options in (jittered, jittered, other):
        network = toy()
        fit(network, bars(), options)
        results.append(weights(network))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_training_leaves_the_callers_generator_and_threads_alone() -> None:
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    fit(toy(), bars(), QUICK)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_progress_counts_the_epochs() -> None:
    steps: list[tuple[int, int]] = []
    fit(toy(), bars(), QUICK, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(epoch, 6) for epoch in range(1, 7)]


def test_a_killed_training_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    def dies(done: int, _: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    options = FitOptions(epochs=5, batch=16, jitter=Jitter(degrees=10))
    memory = Progress(tmp_path / "run.state")
    whole, resumed = toy(), toy(seed=1)
    fit(whole, bars(), options)
    with pytest.raises(KeyboardInterrupt):
        fit(toy(), bars(), options, progress=dies, memory=memory)
    steps: list[int] = []
    fit(resumed, bars(), options, progress=lambda done, _: steps.append(done), memory=memory)
    assert steps == [4, 5]
    assert torch.equal(weights(resumed), weights(whole))


def test_weights_decay_but_biases_do_not() -> None:
    layer = nn.Linear(64, 2)
    nn.init.constant_(layer.weight, 5.0)
    nn.init.constant_(layer.bias, 5.0)
    nothing = Examples(torch.zeros(32, 1, 8, 8), torch.arange(32) % 2, torch.zeros(1))
    options = FitOptions(epochs=20, batch=32, learning_rate=1e-1, weight_decay=0.5)
    fit(nn.Sequential(nn.Flatten(), layer), nothing, options)
    assert layer.weight.mean() < 4
    torch.testing.assert_close(layer.bias.data, torch.full((2,), 5.0))


def test_label_smoothing_keeps_answers_modest() -> None:
    sure, modest = toy(), toy()
    fit(sure, bars(), FitOptions(epochs=20, batch=16, learning_rate=2e-2))
    fit(modest, bars(), FitOptions(epochs=20, batch=16, learning_rate=2e-2, label_smoothing=0.3))
    with torch.inference_mode():
        margins = [
            (logits[:, 0] - logits[:, 1]).abs().mean()
            for logits in (network(bars().images) for network in (sure, modest))
        ]
    assert margins[1] < margins[0] / 2


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 0},
        {"epochs": 1, "batch": 1},
        {"epochs": 1, "seed": -1},
        {"epochs": 1, "seed": 2**32},
        {"epochs": 1, "learning_rate": 0.0},
        {"epochs": 1, "learning_rate": float("nan")},
        {"epochs": 1, "weight_decay": -0.1},
        {"epochs": 1, "label_smoothing": 1.0},
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="cannot be"):
        FitOptions(**options)  # type: ignore[arg-type]


def test_a_batch_larger_than_the_set_is_refused() -> None:
    with pytest.raises(UsageError, match="128 images do not fill a batch of 129"):
        fit(toy(), bars(), FitOptions(epochs=1, batch=129))
