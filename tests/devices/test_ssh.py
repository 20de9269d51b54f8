"""A profile over a real ssh connection to this very machine, and what can stand in its way."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from edgecnn.devices import RemoteDevice, agent
from edgecnn.devices.facts import facts_of
from edgecnn.devices.find import open_device
from edgecnn.errors import DeviceError, EdgecnnError, ModelError
from edgecnn.profiling.run import Options, profile_files
from edgecnn.runtime.worker import write_frames
from tests.devices.conftest import MakeDevice
from tests.devices.loopback import Loopback
from tests.profiling.toys import color_picture

IMAGES = [color_picture(index) for index in range(3)]
QUICK = Options(threads=1, precision=1.0, time_limit_s=1)


@dataclasses.dataclass
class Pushes:
    """What was brought to a device: bytes sent, bytes in all, by file name."""

    seen: dict[str, tuple[int, int]] = dataclasses.field(default_factory=dict)

    def __call__(self, file: Path, sent: int, size: int) -> None:
        self.seen[file.name] = (sent, size)


def measured(board: Loopback, net: Path, pushes: Pushes | None = None) -> int:
    """How many latencies a profile on the board brings."""
    with open_device(board.name, pushed=pushes) as there:
        (found,) = profile_files([net], device=there, images=IMAGES, options=QUICK)
    assert found.measurement.model_sha256
    assert all(value > 0 for value in found.measurement.latencies_ns)
    return len(found.measurement.latencies_ns)


def test_a_profile_comes_back(device: MakeDevice, net: Path) -> None:
    assert measured(device(), net) >= 3


def test_the_second_run_transfers_nothing_and_no_more_is_kept(
    device: MakeDevice, net: Path
) -> None:
    board, first, second = device(), Pushes(), Pushes()
    measured(board, net, first)
    kept = board.kept
    measured(board, net, second)
    assert first.seen.keys() == second.seen.keys() == {net.name, "frames.npz"}
    assert all(sent == size for sent, size in first.seen.values())
    assert all(sent == 0 for sent, _ in second.seen.values())
    assert board.kept == kept
    assert all(len(file.name) == 64 for file in kept), "names are hashes, and nothing is half"


def test_facts_are_those_of_the_device_and_its_runtime_is_ours(device: MakeDevice) -> None:
    board = device(before="export EDGECNN_TEST=1; cd /")
    with open_device(board.name) as there:
        facts = facts_of(there)
    assert facts["machine"] == os.uname().machine
    assert facts["versions"]["numpy"] == np.__version__
    assert facts["versions"]["edgecnn"]


def test_a_file_comes_back(device: MakeDevice, tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(bytes(range(256)) * 999)
    with open_device(device().name) as there:
        there.pull(str(tmp_path / "there"), tmp_path / "here")
        assert (tmp_path / "here").read_bytes() == (tmp_path / "there").read_bytes()
        with pytest.raises(DeviceError, match="No such file"):
            there.pull(str(tmp_path / "nowhere"), tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_more_workers_than_a_connection_carries_get_another(device: MakeDevice, net: Path) -> None:
    with open_device(device().name) as there:
        workers = [there.start(("facts",)) for _ in range(12)]
        assert all(worker.read_line(timeout_s=60).startswith("{") for worker in workers)
        for worker in workers:
            worker.close()


def test_a_login_shell_that_chatters_is_not_listened_to(device: MakeDevice) -> None:
    board = device(before="echo 'Welcome!'; echo; echo '{\"machine\": \"toaster\"}'")
    with open_device(board.name) as there:
        assert facts_of(there)["machine"] == os.uname().machine


def test_errors_of_the_device_are_ours(device: MakeDevice, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"\x08\x08garbage")
    with open_device(device().name) as there, pytest.raises(ModelError, match=r"broken\.onnx"):
        there.push(broken)


def test_weights_beside_a_file_would_not_arrive(device: MakeDevice, tmp_path: Path) -> None:
    import onnx

    from tests.toy import plain

    onnx.save(
        plain(), tmp_path / "net.onnx", save_as_external_data=True, location="w", size_threshold=0
    )
    with open_device(device().name) as there, pytest.raises(DeviceError, match="other files"):
        there.push(tmp_path / "net.onnx")


# What stands in the way.


def refused(board: Loopback, words: str) -> str:
    """The hint of the error that opening the device ends with."""
    with pytest.raises(DeviceError, match=words) as told, open_device(board.name) as there:
        facts_of(there)
    assert str(told.value).startswith(board.name)
    return told.value.hint


def test_a_host_that_nobody_has_met_is_refused(device: MakeDevice) -> None:
    assert "fingerprint" in refused(device(known_hosts=""), "host key is not known")


def test_a_host_that_is_another_now_is_refused(device: MakeDevice, ssh_server: object) -> None:
    port = str(ssh_server.url).rpartition(":")[2]  # type: ignore[attr-defined]
    key = "AAAAC3NzaC1lZDI1NTE5AAAAIKb3r0F0yB3V9m5e7r5r8n0Q2j4G8n1m3p5q7s9u1w3x"
    board = device(known_hosts=f"[127.0.0.1]:{port} ssh-ed25519 {key}\n")
    assert "fingerprint" in refused(board, "not the machine it was")


def test_a_key_that_is_not_let_in_is_told(
    device: MakeDevice, ssh_server: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = device()
    key = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    config = tmp_path / "config"
    text = (board.folder / "ssh_config").read_text()
    lines = [line for line in text.splitlines() if "IdentityFile" not in line]
    config.write_text("\n".join([*lines, f"  IdentityFile {key}"]))
    monkeypatch.setenv("EDGECNN_SSH_CONFIG", str(config))
    hint = refused(board, "does not let us in")
    where, port = str(ssh_server.url).removeprefix("ssh://").split(":")  # type: ignore[attr-defined]
    assert f"ssh-copy-id -F {config} -p {port} {where} " in hint, "it knows no -l"


def test_a_configuration_that_ssh_does_not_take_is_told(
    device: MakeDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board, config = device(), tmp_path / "config"
    config.write_text("Host *\n  Port many\n")
    config.chmod(0o600)
    monkeypatch.setenv("EDGECNN_SSH_CONFIG", str(config))
    assert f"ssh -F {config} " in refused(board, "line 2: Bad port")
    monkeypatch.setenv("EDGECNN_SSH_CONFIG", "no such file")
    assert "EDGECNN_SSH_CONFIG" in refused(board, "no such file")


def test_a_device_that_talks_and_says_nothing_is_not_waited_for(
    device: MakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line comes in time, and all of them together do not."""
    monkeypatch.setattr("edgecnn.devices.remote._HELLO_S", 0.6)
    board = device(before="while sleep 0.05; do echo; done")
    with pytest.raises(DeviceError, match="no answer from board"), open_device(board.name):
        pass


def test_a_port_where_nobody_listens_is_told(device: MakeDevice) -> None:
    device()
    with pytest.raises(DeviceError, match="no ssh server"), open_device("ssh://127.0.0.1:1"):
        pass


def test_a_device_without_python_is_told(device: MakeDevice) -> None:
    assert "apt install python3" in refused(device(python=("no-such-python",)), "no Python 3")


OLD = (
    "import sys; source, rest = sys.argv[2], sys.argv[3:]; sys.argv = ['-c', *rest]; "
    "sys.version_info = (3, 8, 10, 'final', 0); exec(source)"
)


def test_an_old_python_is_recognised_and_refused(device: MakeDevice) -> None:
    hint = refused(device(python=(sys.executable, "-c", OLD.replace("'", "'\\''"))), "Python 3.8")
    assert "python3" in hint


def test_a_device_without_numpy_is_told_what_to_install(device: MakeDevice) -> None:
    board = device(python=(sys.executable, "-S"), before="unset PYTHONPATH")
    assert "pip install numpy" in refused(board, "NumPy")


# What happens on the way.


def test_an_interrupted_transfer_is_resumed(device: MakeDevice, tmp_path: Path) -> None:
    load = tmp_path / "load.bin"
    load.write_bytes(np.random.default_rng(0).bytes(3_000_000))
    board = device(proxy=("up", "1500000", str(tmp_path / "cut")))
    with pytest.raises(DeviceError, match="lost"), open_device(board.name) as there:
        there.push(load)
    assert board.settles()
    pushes = Pushes()
    with open_device(board.name, pushed=pushes) as there:
        there.push(load)
    sent, size = pushes.seen["load.bin"]
    assert 0 < sent < size
    assert [file.name for file in board.kept if file.suffix] == []


def test_what_was_damaged_on_the_way_is_sent_again(device: MakeDevice, tmp_path: Path) -> None:
    from edgecnn.files import sha256_of

    load = tmp_path / "load.bin"
    load.write_bytes(bytes(100_000))
    board = device()
    (board.cache / "remote").mkdir(parents=True)
    (board.cache / "remote" / f"{sha256_of(load)}.part").write_bytes(b"rubbish")
    with open_device(board.name) as there:
        assert Path(there.push(load)).read_bytes() == load.read_bytes()
    assert len(board.kept) == 1


def test_a_full_disk_is_told_and_left_as_it_was(device: MakeDevice, tmp_path: Path) -> None:
    load = tmp_path / "load.bin"
    load.write_bytes(bytes(3_000_000))
    board = device(before="ulimit -f 500")
    with pytest.raises(DeviceError, match="disk is full") as told, open_device(board.name) as there:
        there.push(load)
    assert "make room" in told.value.hint
    assert board.kept == ()


@pytest.mark.parametrize(
    ("victim", "words"),
    [
        ("-m edgecnn.runtime worker", "died: it was ended by SIGKILL"),
        ("\n run ", "the connection was lost"),
    ],
)
def test_what_is_killed_there_is_told(
    device: MakeDevice, net: Path, victim: str, words: str
) -> None:
    """The worker itself, and the agent that watches it: the worker does not outlive that."""
    board = device()

    def kill() -> None:
        for pid in board.awaited(victim):
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with open_device(board.name) as there, pytest.raises(EdgecnnError, match=words):
        profile_files([net], device=there, images=IMAGES, options=SLOW)
    killer.join()


SLOW = dataclasses.replace(QUICK, precision=1e-9, time_limit_s=300)


def test_a_worker_goes_when_we_are_killed(device: MakeDevice, net: Path) -> None:
    board = device()
    script = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from edgecnn.devices.find import open_device\n"
        "from edgecnn.profiling.run import Options, profile_files\n"
        "with open_device(sys.argv[1]) as there:\n"
        "    profile_files([Path(sys.argv[2])], device=there,"
        " images=[np.zeros((20, 20, 3), np.uint8)],\n"
        "        options=Options(threads=1, precision=1e-9, time_limit_s=500))\n"
    )
    ours = subprocess.Popen([sys.executable, "-c", script, board.name, str(net)])
    assert board.awaited("-m edgecnn.runtime worker")
    ours.kill()
    ours.wait()
    assert board.settles()


@pytest.mark.slow
def test_what_runs_there_ends_though_nobody_hung_up(
    device: MakeDevice, net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cable that is pulled tells the device nothing: it is the signs of life that end."""
    hurried = tmp_path / "agent.py"
    source = Path(agent.__file__).read_text(encoding="utf-8")
    hurried.write_text(source.replace("_SILENCE_S = 150", "_SILENCE_S = 3").replace(
        "_GLANCE_S = 30", "_GLANCE_S = 1"))  # fmt: skip
    monkeypatch.setattr(agent, "__file__", str(hurried))
    monkeypatch.setattr("edgecnn.devices.remote._BEAT_S", 0.5)
    cable, frames = tmp_path / "cable", tmp_path / "frames.npz"
    write_frames(frames, IMAGES)
    board = device(proxy=("pulled", str(cable)))
    with open_device(board.name) as there:
        worker = there.start(["worker", there.push(net), "--inputs", there.push(frames)])
        assert worker.read_line(timeout_s=60).startswith('{"ready"')
        time.sleep(5)
        assert len(board.running()) == 3, "the agent twice, and the worker, as long as we live"
        cable.touch()
        assert board.settles()
        assert worker.is_running, "here nobody has noticed yet"


def test_the_connections_folder_goes_with_the_device(
    device: MakeDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = tmp_path / "t"
    short.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(short))
    board = device()
    with open_device(board.name) as there:
        assert isinstance(there, RemoteDevice)
    with pytest.raises(EdgecnnError), open_device(board.name):
        raise EdgecnnError("x", hint="y")
    assert list(short.iterdir()) == []
