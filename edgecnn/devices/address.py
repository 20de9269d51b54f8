"""`ssh://[user@]host[:port]`: where a device is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgecnn.errors import UsageError

_SSH = re.compile(
    r"""ssh://
        (?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.-]*\$?)@)?
        (?:\[(?P<six>[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?)\]|(?P<host>[A-Za-z0-9_][A-Za-z0-9_.-]*))
        (?::(?P<port>[0-9]{1,5}))?
        /?""",
    re.VERBOSE,
)
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """A host as ssh takes it: a name, a number or an alias of the user's ssh configuration."""

    host: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        return f"ssh://{user}{host}{f':{self.port}' if self.port else ''}"

    @property
    def words(self) -> tuple[str, ...]:
        """The address as the last arguments of `ssh`; none of it can be taken for an option."""
        port = ("-p", str(self.port)) if self.port else ()
        user = ("-l", self.user) if self.user else ()
        return (*port, *user, "--", self.host)


def parse_address(url: str) -> Address:
    """Read an address; raises UsageError for anything else, passwords among it."""
    found = _SSH.fullmatch(url.strip())
    port = int(found["port"]) if found and found["port"] else None
    if found is None or port == 0 or (port or 0) > _MAX_PORT:
        raise UsageError(
            f"{_without_password(url)!r} is not an address of a device",
            hint="for example ssh://user@192.168.1.20 or ssh://jetson:2222; keys, no passwords",
        )
    return Address(found["host"] or found["six"], found["user"], port)


def _without_password(url: str) -> str:
    return re.sub(r":[^@/:]*@", ":…@", url)
