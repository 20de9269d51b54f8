"""Which weights this processor multiplies exactly."""

from __future__ import annotations

import platform

import numpy as np
import pytest

from edgecnn.graph.quantize import quantize_model
from edgecnn.graph.saturation import local_target, saturates
from edgecnn.runtime.facts import cpu_flags
from tests import toy
from tests.graph.running import answers, sqnr_db


def test_a_processor_with_vnni_is_exact() -> None:
    if cpu_flags().isdisjoint({"avx512_vnni", "avx_vnni"}):
        pytest.skip("this processor has no VNNI")
    assert not saturates()


def test_the_local_target_follows_the_self_test() -> None:
    if platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("not an x86-64 processor")
    assert local_target().weight_bits == (7 if saturates() else 8)


@pytest.mark.parametrize("machine", ["aarch64", "arm64"])
def test_arm_has_a_target_of_its_own(machine: str) -> None:
    assert local_target(machine).name == "onnxruntime-arm"


def test_the_local_target_is_exact_here() -> None:
    """Optimised kernels and the plain graph agree on the largest weights that it allows."""
    made = quantize_model(toy.plain(), toy.images(20), target=local_target().name, effort="fast")
    optimized, plain = answers(made.model), answers(made.model, plain=True)
    assert sqnr_db(plain, optimized) > 30
    assert np.array_equal(plain.argmax(axis=1), optimized.argmax(axis=1))
