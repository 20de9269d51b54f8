"""Measuring real files in real processes on this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgecnn.contract import Contract
from edgecnn.devices import LocalDevice
from edgecnn.errors import DataError, EngineError, ModelError, UsageError
from edgecnn.onnxfile import read_contract
from edgecnn.profiling.compare import latency
from edgecnn.profiling.plan import Plan
from edgecnn.profiling.run import Listener, Options, profile_files
from tests.profiling.running import IMAGES, QUICK, WatchedDevice
from tests.profiling.toys import write_color_net


@pytest.fixture(scope="module", autouse=True)
def own_cache(module_cache: None) -> None:
    """For all of these tests together."""


def test_files_are_measured_in_the_order_given(light: Path, heavy: Path) -> None:
    device, plans = WatchedDevice(), list[Plan]()
    progress: list[tuple[int, int]] = []
    profiles = profile_files(
        [heavy, light],
        device=device,
        images=IMAGES,
        options=QUICK,
        listener=Listener(
            planned=plans.append, progress=lambda done, total: progress.append((done, total))
        ),
    )
    slow, fast = profiles
    assert (slow.contract.name, fast.contract.name) == ("heavy", "light")
    assert (slow.precision, fast.precision) == ("int8", "fp32")
    assert np.median(slow.measurement.latencies_ns) > np.median(fast.measurement.latencies_ns)
    for profile in profiles:
        measured = profile.measurement
        assert sum(measured.block_runs) == len(measured.latencies_ns)
        assert [block.size for block in measured.blocks] == list(measured.block_runs)
        assert len(measured.block_runs) == progress[-1][0] == progress[-1][1]
        assert measured.facts["graph"] == "cached", "building an engine is not part of loading it"
        assert profile.peak_rss_bytes > profile.rss_before_load_bytes > 0
        assert profile.size_bytes == Path(profile.file).stat().st_size
        assert "unavailable" in profile.energy or profile.energy["sources"]
        assert len(measured.around) == len(measured.block_runs)
        assert [block.started_s for block in measured.around] == sorted(
            block.started_s for block in measured.around
        )
    assert len(plans) == 1
    assert not device.left_behind


def test_a_file_without_contract_is_measured_with_the_one_that_is_given(light: Path) -> None:
    from edgecnn.onnxfile import read_header

    known = read_contract(light)
    bare = write_color_net(light.with_name("bare.onnx"))
    own = Contract(known.inputs, known.outputs, known.preprocess, provenance={"model": "theirs"})
    options = Options(threads=1, precision=1.0, time_limit_s=1, contracts={bare: own})
    (profile,) = profile_files([bare], device=LocalDevice(), images=IMAGES, options=options)
    assert profile.contract.name == "theirs"
    assert read_header(bare)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (Options(batch=7), UsageError),
        (Options(engine="abacus"), UsageError),
        (Options(precision=0), UsageError),
        (Options(time_limit_s=-1), UsageError),
    ],
)
def test_what_cannot_be_measured_is_refused(
    light: Path, options: Options, error: type[Exception]
) -> None:
    device = WatchedDevice()
    with pytest.raises(error):
        profile_files([light], device=device, images=IMAGES, options=options)
    assert not device.left_behind


def test_nothing_to_measure_is_refused(light: Path) -> None:
    with pytest.raises(UsageError):
        profile_files([], device=LocalDevice(), images=IMAGES)
    with pytest.raises(DataError):
        profile_files([light], device=LocalDevice(), images=[])


def test_one_broken_file_among_good_ones_leaves_no_process(light: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(light.read_bytes()[:200])
    device = WatchedDevice()
    with pytest.raises(ModelError, match=r"broken\.onnx"):
        profile_files([light, broken], device=device, images=IMAGES, options=QUICK)
    assert not device.left_behind


def test_a_worker_that_is_killed_ends_the_profile_with_its_name(light: Path, heavy: Path) -> None:
    device = WatchedDevice()

    def kill(done: int, total: int) -> None:
        subprocess.run(["kill", "-9", str(device.started[-1].pid)], check=True)

    with pytest.raises(EngineError, match=r"heavy\.onnx: the process that ran it died.*KILL"):
        profile_files(
            [light, heavy],
            device=device,
            images=IMAGES,
            options=QUICK,
            listener=Listener(progress=kill),
        )
    assert not device.left_behind


def test_throughput_counts_images_of_all_streams(light: Path) -> None:
    options = Options(boundary="throughput", streams=2, precision=1.0, time_limit_s=1)
    (profile,) = profile_files([light], device=LocalDevice(), images=IMAGES, options=options)
    measured, found = profile.measurement, latency(profile)
    assert (measured.boundary, measured.streams, measured.threads) == ("throughput", 2, 1)
    assert found.images_per_s is not None
    wall_s = sum(block.wall_ns for block in measured.around) / 1e9
    runs = len(measured.latencies_ns)
    assert found.images_per_s.value == pytest.approx(runs / wall_s, rel=0.5)
