"""Profiles on the command line: written, read again, compared with older ones, chosen by."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgecnn.cli.app import run
from tests.cli.conftest import Edgecnn
from tests.profiling.toys import write_color_net, write_pictures

QUICK = ("--threads", "1", "--precision", "50%", "--time-limit", "1")


def write_pair(folder: Path) -> tuple[Path, Path]:
    """A light file, and the same as INT8 with work to do."""
    light = write_color_net(folder / "net.onnx", provenance={"model": "net"})
    said = {"model": "net", "precision": "int8"}
    return light, write_color_net(folder / "net.int8.onnx", work=40, provenance=said)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the pair was measured once: its profile, the pictures, the engines."""
    folder = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGECNN_CACHE", str(folder / "cache"))
        patch.chdir(folder)
        labelled = write_pictures(Path("labelled"), [0, 1, 2, 3, 4, 5, 6, 7] * 2)
        options = (*QUICK, "--data", str(labelled), "-o", "first.json", "-q")
        assert run(["profile", *map(str, write_pair(folder)), *options]) == 0
    return folder


@pytest.fixture
def pair(
    edgecnn: Edgecnn, measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """The pair, whose engines lie in the cache."""
    monkeypatch.setenv("EDGECNN_CACHE", str(measured / "cache"))
    return write_pair(tmp_path)


@pytest.fixture
def saved(edgecnn: Edgecnn, measured: Path) -> Path:
    """The profile of the pair, with accuracy, and the pictures."""
    shutil.copytree(measured / "labelled", "labelled")
    shutil.copy(measured / "first.json", "first.json")
    return Path("first.json")


def test_a_page_comes_with_its_samples(edgecnn: Edgecnn, pair: tuple[Path, Path]) -> None:
    said = edgecnn("profile", *pair, *QUICK, "-o", "report.html", "--plot", "plot.svg")
    assert said.code == 0, said.err
    assert "Report: report.html, report.json" in said.out
    assert "Plot: plot.svg" in said.out
    assert Path("report.html").read_text().startswith("<!doctype html>")
    document = json.loads(Path("report.json").read_text())
    assert all(len(each["samples_ns"]) == each["n"] for each in document["profiles"])
    layers = [each["layers"]["layers"] for each in document["profiles"]]
    assert [sum("Conv" in layer["kind"] for layer in each) for each in layers] == [0, 40]
    assert sum(layer["macs"] or 0 for layer in layers[1]) == document["profiles"][1]["macs"]
    assert "Where the time of a run goes" in Path("report.html").read_text()
    again = edgecnn("profile", *pair, *QUICK, "-o", "report.html")
    assert "already there" in again.err
    Path("report.html").unlink()
    assert "report.json is already there" in edgecnn("profile", *pair, "-o", "report.html").err


def test_a_report_is_worked_out_anew_in_any_form(edgecnn: Edgecnn, saved: Path) -> None:
    said = edgecnn("report", saved, "--use-marked", "-o", "report.md")
    assert said.code == 0, said.err
    assert "x slower" in said.out
    assert "| net int8 |" in Path("report.md").read_text()
    traced = edgecnn("report", saved, "--trace", "trace.json")
    assert "Trace: trace.json" in traced.out
    events = json.loads(Path("trace.json").read_text())["traceEvents"]
    assert {each["pid"] for each in events} == {1, 2}
    for name in ("report.html", "report.csv", "again.json"):
        assert edgecnn("report", saved, "-o", name, "-q").code == 0
        assert Path(name).stat().st_size > 500
    first, again = (json.loads(path.read_text()) for path in (saved, Path("again.json")))
    assert first == again
    assert edgecnn("report", saved, "--json").document == first


def test_reports_that_were_not_measured_alike_are_not_mixed(edgecnn: Edgecnn, saved: Path) -> None:
    document = json.loads(saved.read_text())
    document["device"]["cpu"] = "Cortex-A76"
    Path("board.json").write_text(json.dumps(document))
    refused = edgecnn("report", saved, "board.json")
    assert refused.code == 2
    assert "not measured alike: cpu: " in refused.err
    mixed = edgecnn("report", saved, "board.json", "--allow-mixed")
    assert mixed.code == 0
    assert "Not measured alike: cpu:" in mixed.out
    assert "Cortex-A76 in board" in " ".join(mixed.out.split())


def test_a_file_that_became_slower_fails_a_job(
    edgecnn: Edgecnn, saved: Path, pair: tuple[Path, Path]
) -> None:
    light, _ = pair
    slower = write_color_net(light.with_name("new.onnx"), work=40, provenance={"model": "net"})
    check = ("--baseline", saved, "--fail-if-slower", "5%", "--use-marked", "--json")
    said = edgecnn("profile", slower, *QUICK, *check)
    assert said.code == 1
    assert "slower than in first.json: net fp32: takes" in said.err
    (found,) = said.document["regressions"]
    assert found["answer"] == "slower"
    same = edgecnn("profile", slower, *QUICK, "--baseline", saved, "--use-marked")
    assert same.code == 0
    assert "Against first.json:\n  net fp32: takes" in same.out


def test_the_most_accurate_file_that_fits_is_chosen(edgecnn: Edgecnn, saved: Path) -> None:
    said = edgecnn("choose", saved, "--max-latency", "5s", "--use-marked")
    assert said.code == 0, said.err
    assert said.out.startswith("chosen  net fp32")
    assert edgecnn("choose", saved, "--max-latency", "0.0001ms", "--use-marked").code == 1
    machine = edgecnn("choose", saved, "--use-marked", "--max-drop", "50", "--json").document
    assert machine["chosen"].endswith("net.onnx")


def test_files_are_measured_before_they_are_chosen_from(
    edgecnn: Edgecnn, saved: Path, pair: tuple[Path, Path]
) -> None:
    assert edgecnn("choose", *pair).code == 2, "without images there is no accuracy"
    assert edgecnn("choose", saved, pair[0]).code == 2
    assert edgecnn("choose").code == 2, "nor of the standing comparison"
    made_up = {"model": "net", "weights": {"source": "random"}}
    random = write_color_net(Path("random.onnx"), provenance=made_up)
    said = edgecnn("choose", random, "--data", "labelled")
    assert (said.code, said.out) == (1, ""), "nothing is measured in vain"
    assert "its weights are random, so it has no accuracy to choose by" in said.err
    assert "no model named 'net19'" in edgecnn("choose", "net19", "--data", "labelled").err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--fail-if-slower", "5%"), "--fail-if-slower goes with --baseline"),
        (("--baseline", "no.json", "--fail-if-slower", "5%"), "no.json: there is no such file"),
        (("-o", "report.pdf"), "name it FILE.html"),
        (("--plot", "plot.jpeg"), "name it FILE.png, FILE.svg"),
        (("--trace", "trace.txt"), "name it FILE.json"),
        (("--trace", "t.json", "-o", "t.html"), "t.json would be written twice"),
        (("--trace", "t.json", "--no-layers"), "--trace is of the layers"),
        (("--streams", "2"), "--streams goes with --boundary throughput"),
        (("--precision", "fast"), "is not a share"),
        (("--precision", "0"), "not above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: tuple[str, ...], told: str, edgecnn: Edgecnn, pair: tuple[Path, Path]
) -> None:
    said = edgecnn("profile", pair[0], *arguments)
    assert said.code in (1, 2)
    assert told in said.err
    assert not list(Path().glob("profile-*"))


def test_throughput_is_told_in_images_a_second(edgecnn: Edgecnn, pair: tuple[Path, Path]) -> None:
    options = ("--boundary", "throughput", "--streams", "2", *QUICK)
    said = edgecnn("profile", *pair, *options, "--no-layers", "-o", "rate.csv")
    assert said.code == 0, said.err
    assert not Path("rate.layers.csv").exists()
    assert "images/s" in said.out
    assert "several runs at a time" in said.out


@pytest.mark.slow
def test_a_model_s_name_stands_for_its_two_files(edgecnn: Edgecnn) -> None:
    said = edgecnn("profile", "LeNet-5", *QUICK, "--json")
    assert said.code == 0, said.err
    names = [each["name"] for each in said.document["profiles"]]
    assert names == ["lenet5 fp32", "lenet5 int8"]
    assert all(each["random_weights"] for each in said.document["profiles"])
    listed = edgecnn("cache", "list", "--json").document["entries"]
    assert [entry["kind"] for entry in listed].count("model") == 3, "both, and their ranges"
    again = edgecnn("profile", "lenet5", *QUICK, "-o", "again.json")
    assert "export" not in again.out, "they are made once"
    assert again.out.count("random weights") == 2, "in every row"


def test_a_name_that_nobody_has_is_refused(edgecnn: Edgecnn) -> None:
    said = edgecnn("profile", "resnet19")
    assert said.code == 2
    assert "there is no model named 'resnet19'" in said.err
    assert "no such file" in edgecnn("profile", "nowhere.onnx").err


def test_ctrl_c_keeps_what_is_measured_and_the_same_command_goes_on(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    command = [
        *(sys.executable, "-m", "edgecnn", "profile", *map(str, pair), "--threads", "1"),
        *("--precision", "0.001%", "--time-limit", "600", "-o", "report.json"),
    ]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not _blocks(tmp_path) >= 5:
        assert running.poll() is None
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    out, told = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "the report is of these; the same command goes on from here" in told
    assert "Interrupted: " in out
    first = json.loads((tmp_path / "report.json").read_text())
    assert first["blocks_missing"] > 0
    kept = len(first["profiles"][0]["block_runs"])
    assert kept >= 5
    command[command.index("600")] = "1"
    done = subprocess.run(
        [*command, "--force"], capture_output=True, text=True, check=True, timeout=120
    )
    assert f"resume       {kept} blocks were measured before" in done.stdout
    assert not list((tmp_path / "cache" / "unfinished").iterdir())


def _blocks(folder: Path) -> int:
    states = (folder / "cache" / "unfinished").glob("profile-*.state")
    return max((state.read_text().count("\n") for state in states), default=0)
