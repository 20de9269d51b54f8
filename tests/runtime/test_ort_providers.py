"""ONNX Runtime's providers: one that is not there, or does not take the nodes, is never silent."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import onnx
import onnxruntime
import pytest

from edgecnn.cli.app import run
from edgecnn.errors import EngineError, ModelError, UsageError
from edgecnn.onnxfile import model_sha256
from edgecnn.runtime.compiled import compile_engine, open_engine
from edgecnn.runtime.engines import ort_providers
from edgecnn.runtime.engines.ort_profile import NodeRun, read_profile
from edgecnn.runtime.engines.providers import PROVIDERS, Provider, find_provider
from tests import toy
from tests.graph.test_half import with_half_scales
from tests.profiling.toys import write_color_net

CUDA = Provider("cuda", "CUDAExecutionProvider")
CPU = Provider("cpu", "CPUExecutionProvider")
# It is in every build, for calls to a cloud, and takes no node of a network.
IDLE = Provider("azure", "AzureExecutionProvider")


@pytest.fixture
def net(tmp_path: Path) -> Path:
    onnx.save(toy.residual(), tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


def missing_here() -> str:
    """A provider that the installed ONNX Runtime was built without."""
    built_in = onnxruntime.get_available_providers()
    return next(f"onnxruntime:{name}" for name, full in PROVIDERS.items() if full not in built_in)


def test_a_provider_has_the_name_that_was_typed() -> None:
    assert find_provider("onnxruntime:cuda") == CUDA
    helped = find_provider("onnxruntime:cuda+cpu")
    assert helped == dataclasses.replace(CUDA, cpu_may_help=True)
    assert helped.engine == "onnxruntime:cuda+cpu"


def test_an_unknown_provider_is_told_with_the_known_ones(net: Path) -> None:
    with pytest.raises(UsageError, match="unknown provider 'abacus'") as raised:
        open_engine(net, engine="onnxruntime:abacus", sha256="")
    assert "onnxruntime:xnnpack" in raised.value.hint


@pytest.mark.parametrize("allowed", ["", "+cpu"])
def test_a_provider_that_the_build_lacks_is_an_error_and_nothing_runs(
    net: Path, allowed: str
) -> None:
    engine = missing_here() + allowed
    with pytest.raises(EngineError, match=r"as installed has no .*ExecutionProvider") as raised:
        open_engine(net, engine=engine, sha256=model_sha256(net))
    assert raised.value.hint
    with pytest.raises(EngineError):
        compile_engine(net, engine=engine, sha256=model_sha256(net))


def test_the_command_line_says_it_in_two_lines(
    net: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compile", str(net), "--engine", missing_here()]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Error", "Hint"]


def test_a_provider_that_takes_nothing_is_an_error(net: Path) -> None:
    for provider in (IDLE, dataclasses.replace(IDLE, cpu_may_help=True)):
        with pytest.raises(EngineError, match=r"takes none of the \d+ nodes, all run on the CPU"):
            ort_providers.open_with(net, provider, sha256=model_sha256(net))


def test_nodes_are_counted_where_they_ran(net: Path) -> None:
    engine = ort_providers.open_with(net, CPU, sha256=model_sha256(net), threads=1)
    assert engine.name == "onnxruntime:cpu"
    told = engine.facts["provider"]
    assert told.startswith("CPUExecutionProvider (nodes: ")
    nodes = len(onnx.load(net).graph.node)
    assert 0 < int(told.rstrip(")").rpartition(" ")[2]) <= nodes + 10
    image = next(iter(toy.images(1)()))
    assert set(engine.run({"image": image})) == {"logits"}
    again = ort_providers.open_with(net, CPU, sha256=model_sha256(net))
    assert (engine.facts["graph"], again.facts["graph"]) == ("built", "cached")


def test_an_open_batch_is_counted_with_one_image(tmp_path: Path) -> None:
    path = write_color_net(tmp_path / "open.onnx", batch="N")
    assert ort_providers.open_with(path, CPU, sha256=model_sha256(path)).facts["provider"]


def placed(*providers: str) -> tuple[NodeRun, ...]:
    return tuple(
        NodeRun(index, f"conv_{index}", "Conv", provider, "float", 5)
        for index, provider in enumerate(providers)
    )


def test_a_part_on_the_cpu_is_an_error_unless_the_name_allows_it() -> None:
    split = placed(CUDA.full_name, CPU.full_name, CPU.full_name, CPU.full_name, CPU.full_name)
    with pytest.raises(
        EngineError, match=r"4 of 5 nodes run on the CPU \(conv_1, conv_2, conv_3, …\)"
    ) as raised:
        ort_providers.check_placement(split, CUDA)
    assert "onnxruntime:cuda+cpu" in raised.value.hint
    ort_providers.check_placement(split, dataclasses.replace(CUDA, cpu_may_help=True))
    ort_providers.check_placement(split[:1], CUDA)


def test_a_profile_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "profile.json").write_text('[{"cat": "Node", "name": "a_kernel_time"}]')
    for name in ("profile.json", "missing.json"):
        with pytest.raises(EngineError, match="onnxruntime's profile cannot be read"):
            read_profile(tmp_path / name)


def test_float16_scales_are_refused_with_every_provider(tmp_path: Path) -> None:
    path = with_half_scales(tmp_path)
    with pytest.raises(ModelError, match="float16 scales"):
        open_engine(path, engine="onnxruntime:cuda", sha256=model_sha256(path))
