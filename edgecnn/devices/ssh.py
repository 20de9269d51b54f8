"""Commands on a host, by the system's OpenSSH client: the user's configuration, keys and hosts.

The first command opens a connection, which those after it share (ControlMaster); it stays open
while one of them runs. Nothing is asked on the way (BatchMode), and a host whose key is not known
is refused.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from edgecnn.devices.address import Address
from edgecnn.devices.process import Process
from edgecnn.errors import DeviceError

SSH_FAILED = 255  # what ssh exits with where it is not the command's exit code

_CONNECT_S = 10
_ALIVE_S, _ALIVE_COUNT = 10, 3  # a board that computes on all its cores may be late
_SHARE_S = 60  # our own ssh answers late where this machine has much to do
_MAX_SESSIONS = 8  # of a connection; sshd allows 10 by default
# A command that a signal ended, and a connection that went while it ran, look the same.
_SILENT_END = "the connection was lost, or what ran there was killed"
_MAX_FOLDER = 60  # a socket's path has at most 108 bytes, and ssh adds to it while it binds

_OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "UpdateHostKeys": "no",
    "ConnectTimeout": str(_CONNECT_S),
    "ServerAliveInterval": str(_ALIVE_S),
    "ServerAliveCountMax": str(_ALIVE_COUNT),
    "ControlPersist": "no",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "LogLevel": "ERROR",
}

# What ssh says -> what is wrong, and what helps, in the words of `_words`.
_CAUSES = (
    ("HOST IDENTIFICATION HAS CHANGED", "is not the machine it was: its host key has changed",
     "was it set up anew? compare the fingerprint, then: ssh-keygen -R {known}"),
    ("Host key verification failed", "its host key is not known here",
     "log in once and compare the fingerprint: {ssh}"),
    ("Permission denied", "does not let us in without a password",
     "give it your key: ssh-copy-id {options}{to}   (or unlock the key: ssh-add)"),
    ("Could not resolve hostname", "no machine has that name",
     "check the name, or use its number: ssh://user@192.168.1.20"),
    ("Connection refused", "no ssh server answers there",
     "on the device: sudo systemctl enable --now ssh"),
    ("timed out", "does not answer", "is it on, and on this network? {ssh}"),
    ("No route to host", "cannot be reached", "is it on, and on this network? {ssh}"),
    ("Network is unreachable", "cannot be reached", "is this machine on its network? {ssh}"),
    ("Can't open user config file", "ssh cannot read its configuration ({first})",
     "check the file that EDGECNN_SSH_CONFIG names"),
    ("bad configuration option", "ssh does not accept its configuration ({first})",
     "mend that line; this shows it, too: {ssh}"),
    ("Bad owner or permissions", "ssh does not trust its configuration ({first})",
     "chmod 600 that file, and see that it is yours"),
)  # fmt: skip


@dataclass(slots=True)
class _Connection:
    """A socket that sessions share, and those that did."""

    socket: Path
    sessions: list[Process] = field(default_factory=list)

    def has_room(self) -> bool:
        """Whether it is open, as it is while a session runs, and takes one more."""
        return 0 < sum(session.is_running for session in self.sessions) < _MAX_SESSIONS


class Ssh:
    """A host that runs commands; `name` is what people call it."""

    def __init__(self, address: Address, *, name: str) -> None:
        self.name = name
        self._address = address
        self._connections: list[_Connection] = []
        folder = tempfile.mkdtemp(prefix="edgecnn-")
        if len(folder) > _MAX_FOLDER:
            Path(folder).rmdir()
            folder = tempfile.mkdtemp(prefix="edgecnn-", dir="/tmp")
        self._folder = Path(folder)

    def start(self, command: str) -> Process:
        """Start a command in the host's shell; raises DeviceError where there is no ssh here.

        Once the first has said something, those after it need no handshake. At the end of its
        output it raises DeviceError where the connection had failed.
        """
        shared = next((each for each in self._connections if each.has_room()), None)
        control: tuple[str, ...]
        if shared is None:
            shared = _Connection(self._folder / str(len(self._connections)))
            self._connections.append(shared)
            control = ("-o", "ControlMaster=yes")
        else:
            # Where the connection has gone, a new one would hide that it had.
            control = ("-o", "ControlMaster=no", "-o", "ProxyCommand=false")
            control += ("-o", f"ConnectTimeout={_SHARE_S}")
        options = [word for key, value in _OPTIONS.items() for word in ("-o", f"{key}={value}")]
        where = (*control, "-S", str(shared.socket), *_config(), *options, *self._address.words)
        process = Process(("ssh", *where, command), who=self.name, lost=self._failure)
        shared.sessions.append(process)
        return process

    def _failure(self, process: Process) -> DeviceError | None:
        """Why the connection of an ended command failed; None where the command itself ended so."""
        if process.exit_code() != SSH_FAILED:
            return None
        said = process.complaints()
        for sign, cause, advice in _CAUSES:
            if any(sign in line for line in said):
                told = cause.format(first=said[0][:200])
                return DeviceError(f"{self.name}: {told}", hint=advice.format(**self._words()))
        what = f"the connection was lost ({said[-1][:200]})" if said else _SILENT_END
        return DeviceError(
            f"{self.name}: {what}",
            hint="is it still on? run it again: what was sent is kept",
        )

    def _words(self) -> dict[str, str]:
        """How commands that a person would type name this host."""
        host, user, port = self._address.host, self._address.user, self._address.port
        options = "".join(f"{shlex.quote(word)} " for word in _config())
        options += f"-p {port} " if port else ""
        to = f"{user}@{host}" if user else host
        known = shlex.quote(f"[{host}]:{port}" if port else host)
        return {"known": known, "options": options, "to": to, "ssh": f"ssh {options}{to}"}

    def close(self) -> None:
        """End what still runs, and with it the connections."""
        for connection in self._connections:
            for session in reversed(connection.sessions):
                session.close(patiently=False)
        with contextlib.suppress(OSError):
            shutil.rmtree(self._folder)


def _config() -> tuple[str, ...]:
    """`EDGECNN_SSH_CONFIG` names another configuration file than the user's."""
    named = os.environ.get("EDGECNN_SSH_CONFIG")
    return ("-F", named) if named else ()
