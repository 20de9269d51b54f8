"""An emulated aarch64 board: `arm_board.sh` under the sysfs and device tree of a Jetson."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.devices.loopback import free_port, is_open
from tests.requirements import missing
from tests.runtime.trees import ORIN_NANO, plant

SCRIPT = Path(__file__).with_name("arm_board.sh")
_START_S = 20.0

# ONNX Runtime looks here for the cores, and crashes where it finds those of another architecture.
_CORE = """\
processor\t: {}
BogoMIPS\t: 62.50
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd42
CPU revision\t: 1

"""
_CORES = {
    "proc/cpuinfo": "".join(_CORE.format(core) for core in range(2)),
    **{f"sys/devices/system/cpu/{name}": "0-1\n" for name in ("possible", "present", "online")},
    **{
        f"sys/devices/system/cpu/cpu{core}/topology/{name}": f"{value}\n"
        for core in range(2)
        for name, value in (("physical_package_id", 0), ("core_id", core))
    },
}
_NVPMODEL = '#!/bin/sh\n[ "$1" = -q ] && { echo "NV Power Mode: 15W"; echo 0; }\n'

_CLIENT = """\
Host armdev
  HostName 127.0.0.1
  Port {port}
  User jetson
  IdentityFile {folder}/key
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
"""


@contextmanager
def arm_board(folder: Path) -> Iterator[Path]:
    """Build and start the board; the ssh configuration in which it is called `armdev`.

    Skips, or fails where it must be there, on a machine that cannot have it.
    """
    if platform.machine() != "x86_64" or os.getuid() != 0 or not shutil.which("apt-get"):
        missing("arm", "the emulated board needs root on an x86-64 Debian")
    _run("build", folder)
    root = folder / "rootfs"
    plant(root, ORIN_NANO, _CORES, {"usr/bin/nvpmodel": _NVPMODEL})
    (root / "usr/bin/nvpmodel").chmod(0o755)
    port = free_port()
    _run("start", folder, str(port))
    try:
        _await(port, folder)
        kind, key = (folder / "host.pub").read_text().split()[:2]
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
        config = folder / "ssh_config"
        config.write_text(_CLIENT.format(port=port, folder=folder))
        yield config
    finally:
        _run("stop", folder)
        shutil.rmtree(folder, ignore_errors=True)


def _run(verb: str, folder: Path, *rest: str) -> None:
    done = subprocess.run(
        ["bash", str(SCRIPT), verb, str(folder), *rest],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    if done.returncode:
        missing("arm", f"arm_board.sh {verb}: {done.stderr.strip()[-300:]}")


def _await(port: int, folder: Path) -> None:
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s:
        if is_open(port):
            return
        time.sleep(0.05)
    missing("arm", f"the board's sshd does not start: {(folder / 'log').read_text()[-200:]}")
