"""This very machine as a device behind a real ssh server, with faults to order.

The server is the system's sshd, started for the tests on a port of its own of 127.0.0.1, with its
own host key and the tests' own user key. What stands for the device's Python is a script, so that
each device has a cache of its own, and can lie, stumble and die.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.requirements import missing

PROXY = Path(__file__).with_name("cut.py")
_SERVER_S = 10.0

_SERVER = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
PidFile {folder}/pid
AuthorizedKeysFile {folder}/key.pub
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PermitRootLogin prohibit-password
MaxStartups 100
"""

_CLIENT = """\
Host *
  IdentityFile {folder}/key
  IdentitiesOnly yes
  UserKnownHostsFile {hosts}
  GlobalKnownHostsFile /dev/null
"""

_PYTHON = """\
#!/bin/sh
export EDGECNN_CACHE='{cache}'
{before}
exec {python} "$@"
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A running sshd: its folder of keys, and its port."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"ssh://{pwd.getpwuid(os.getuid()).pw_name}@127.0.0.1:{self.port}"

    @property
    def host_key(self) -> str:
        """The line of known_hosts."""
        kind, key = (self.folder / "host.pub").read_text().split()[:2]
        return f"[127.0.0.1]:{self.port} {kind} {key}\n"


@dataclass(frozen=True, slots=True)
class Loopback:
    """A device of its own: a name in devices.toml, a Python there, a cache there."""

    name: str
    folder: Path

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def kept(self) -> tuple[Path, ...]:
        """The files that edgecnn keeps there."""
        return tuple(sorted((self.cache / "remote").glob("*")))

    def running(self, word: str = "") -> dict[int, str]:
        """What runs there, by process id: each process knows the cache by its environment."""
        mark = f"EDGECNN_CACHE={self.cache}".encode()
        lines = {int(each.name): _command(each, mark) for each in Path("/proc").glob("[0-9]*")}
        return {pid: line for pid, line in lines.items() if line and word in line}

    def awaited(self, word: str) -> dict[int, str]:
        """What runs there with this word in its command line, as soon as something does."""
        deadline_s = time.monotonic() + 60
        while not (found := self.running(word)):
            assert time.monotonic() < deadline_s, f"nothing like {word!r} runs there"
            time.sleep(0.05)
        return found

    def settles(self) -> bool:
        """Whether all that ran there has gone, or goes soon."""
        deadline_s = time.monotonic() + 30
        while self.running():
            if time.monotonic() > deadline_s:
                return False
            time.sleep(0.05)
        return True


def _command(process: Path, mark: bytes) -> str:
    try:
        if mark in (process / "environ").read_bytes().split(b"\0"):
            return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        pass
    return ""


@contextmanager
def serve(folder: Path) -> Iterator[Server]:
    """Start sshd as whoever runs the tests; skips, or fails, where there is none."""
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if sshd is None or shutil.which("ssh") is None:
        missing("arm", "no sshd and ssh here: apt-get install openssh-server openssh-client")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where a server that root starts looks for it
    for name in ("host", "key"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True
        )
    port = free_port()
    config = folder / "sshd_config"
    config.write_text(_SERVER.format(port=port, folder=folder))
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([sshd, "-D", "-e", "-f", str(config)], stderr=log)
    try:
        _await_port(port, server, folder / "log")
        yield Server(folder, port)
    finally:
        server.terminate()
        server.wait()


def make_device(
    server: Server,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    name: str = "board",
    before: str = "",
    python: Sequence[str] = (),
    proxy: Sequence[str] = (),
    known_hosts: str | None = None,
) -> Loopback:
    """A device called `name`, in a devices.toml with those that the folder holds already.

    `before` are lines of shell that run there before Python does, `python` is what is run instead
    of it, `proxy` are arguments of what stands between here and there.
    """
    home = folder / name
    home.mkdir()
    interpreter = home / "python3"
    command = " ".join(f"'{word}'" for word in (python or (sys.executable,)))
    interpreter.write_text(
        _PYTHON.format(cache=home / "cache", before=before, python=command), encoding="utf-8"
    )
    interpreter.chmod(0o755)
    hosts = home / "known_hosts"
    hosts.write_text(server.host_key if known_hosts is None else known_hosts)
    client = _CLIENT.format(folder=server.folder, hosts=hosts)
    if proxy:
        client += f"  ProxyCommand {sys.executable} {PROXY} %h %p {' '.join(proxy)}\n"
    (home / "ssh_config").write_text(client)
    with (folder / "devices.toml").open("a") as devices:
        devices.write(f'[{name}]\nurl = "{server.url}"\npython = "{interpreter}"\n')
    monkeypatch.setenv("EDGECNN_SSH_CONFIG", str(home / "ssh_config"))
    monkeypatch.setenv("EDGECNN_DEVICES", str(folder / "devices.toml"))
    return Loopback(name, home)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_open(port: int) -> bool:
    """Whether somebody answers on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _await_port(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + _SERVER_S
    while time.monotonic() < deadline_s:
        if is_open(port):
            return
        if server.poll() is not None:
            break
        time.sleep(0.02)
    missing("arm", f"sshd does not start: {log.read_text().strip()[-200:]}")
