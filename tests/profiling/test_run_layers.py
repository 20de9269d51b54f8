"""The layers of measured files: timed last, and no reason to lose what was measured."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path

import pytest

from edgecnn.devices import LocalDevice
from edgecnn.pipeline.layers import joined
from edgecnn.profiling.journal import Journal
from edgecnn.profiling.options import Step
from edgecnn.profiling.run import Listener, profile_files
from tests.profiling.running import IMAGES, QUICK, WatchedDevice

LAYERED = dataclasses.replace(QUICK, layers=True)


@pytest.fixture(scope="module", autouse=True)
def own_cache(module_cache: None) -> None:
    """For all of these tests together."""


def test_layers_are_timed_once_all_else_is_measured(light: Path, heavy: Path) -> None:
    steps: list[Step] = []
    profiles = profile_files(
        [light, heavy],
        device=LocalDevice(),
        images=IMAGES,
        options=LAYERED,
        listener=Listener(step=steps.append),
    )
    doing = [step.doing for step in steps]
    measured = doing.count("measure")
    assert doing == ["load"] * 2 + ["measure"] * measured + ["layers"] * 2
    assert [step.file for step in steps if step.doing == "layers"] == [str(light), str(heavy)]
    assert all(step.done < step.total for step in steps)
    for profile in profiles:
        found = profile.layers
        assert found is not None
        assert not found.unavailable
        assert found.layers_ms > 0
        assert found.run_ms > 0
        whole = joined(found, Path(profile.file), batch=1)
        convolutions = [layer for layer in whole.layers if layer.kind.endswith("Conv")]
        assert all(layer.macs == 9 * 3 * 3 * 16 * 16 for layer in convolutions)
        assert all(layer.moved_bytes == 4 * (2 * 3 * 16 * 16 + 81) for layer in convolutions)
    assert len([each for each in profiles[1].layers.layers if each.kind.endswith("Conv")]) == 60  # type: ignore[union-attr]


def test_a_worker_that_dies_over_its_layers_loses_nothing_else(light: Path) -> None:
    device = WatchedDevice()

    def kill(step: Step) -> None:
        if step.doing == "layers":
            os.kill(device.started[-1].pid, signal.SIGKILL)

    (profile,) = profile_files(
        [light], device=device, images=IMAGES, options=LAYERED, listener=Listener(step=kill)
    )
    assert profile.measurement.latencies_ns
    assert profile.layers is not None
    assert "the process that ran it died" in profile.layers.unavailable


@pytest.mark.parametrize("heard", [True, False])
def test_ctrl_c_over_the_layers_keeps_what_is_measured(
    heard: bool, light: Path, heavy: Path, tmp_path: Path
) -> None:
    journal = Journal(tmp_path / "profile.state", files=2)

    def stop(step: Step) -> None:
        if step.doing == "layers" and step.done:
            raise KeyboardInterrupt

    def measure(listener: Listener) -> list[str]:
        profiles = profile_files(
            [light, heavy],
            device=LocalDevice(),
            images=IMAGES,
            options=LAYERED,
            listener=listener,
            journal=journal,
        )
        return [profile.layers.unavailable for profile in profiles if profile.layers]

    if heard:
        told = measure(Listener(step=stop, interrupted=lambda done, total: None))
        assert told == ["", "interrupted"]
    else:
        with pytest.raises(KeyboardInterrupt):
            measure(Listener(step=stop))
        resumed: list[int] = []
        assert measure(Listener(resumed=resumed.append)) == ["", ""]
        assert resumed, "the blocks were kept"
    assert not journal.path.exists()
