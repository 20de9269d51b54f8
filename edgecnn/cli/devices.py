"""Verbs that look after devices: devices add, list, check, remove; doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli import options
from edgecnn.cli.speak import Speaker
from edgecnn.errors import DeviceError

if TYPE_CHECKING:
    from edgecnn.devices.checkup import Checkup


@click.group()
def devices() -> None:
    """Give the boards on your desk names, and see what they have.

    A name then goes after --device: edgecnn profile FILE --device jetson. They are kept in
    $EDGECNN_DEVICES, else in edgecnn/devices.toml of the user's configuration folder. Boards are
    reached by ssh with your own configuration and keys; nothing is installed on them.
    """


@devices.command()
@click.argument("name")
@click.argument("url", metavar="SSH://[USER@]HOST[:PORT]")
@click.option(
    "--python", help="The interpreter there  [~/.edgecnn/bin/python3 if there is one, else python3]"
)
@options.speaking
def add(*, speaker: Speaker, name: str, url: str, python: str | None) -> None:
    """Name a device.

    \b
    edgecnn devices add jetson ssh://user@192.168.1.20
    edgecnn devices add pi ssh://pi@raspberrypi.local:2222 --python '~/venv/bin/python'
    """  # noqa: D301  \b is click's word for 'do not wrap'
    from edgecnn.devices.address import parse_address
    from edgecnn.devices.known import Known, add_device, devices_file

    device = Known(name, parse_address(url), python)
    add_device(device)
    speaker.line("added", f"{name}  {device.address}   in {devices_file()}")
    speaker.next(f"edgecnn devices check {name}")
    speaker.result({"format": 1, "added": _entry(device)})


@devices.command("list")
@options.speaking
def list_devices(*, speaker: Speaker) -> None:
    """List the devices that have names."""
    from edgecnn.devices.known import devices_file, known_devices

    found = known_devices()
    width = max((len(device.name) for device in found), default=0)
    for device in found:
        python = f"   {device.python}" if device.python else ""
        speaker.print(f"{device.name:<{width}}  {device.address}{python}")
    if not found:
        speaker.print("none yet:  edgecnn devices add jetson ssh://user@host")
    entries = [_entry(device) for device in found]
    speaker.result({"format": 1, "file": str(devices_file()), "devices": entries})


@devices.command()
@click.argument("name")
@options.speaking
def remove(*, speaker: Speaker, name: str) -> None:
    """Forget a device; what edgecnn keeps on it (~/.cache/edgecnn) stays there."""
    from edgecnn.devices.known import devices_file, remove_device

    remove_device(name)
    speaker.line("removed", f"{name}   from {devices_file()}")
    speaker.result({"format": 1, "removed": name})


@devices.command()
@click.argument("name")
@options.speaking
def check(*, speaker: Speaker, name: str) -> None:
    """Say what a device has, what it lacks, and the command that mends it.

    \b
    edgecnn devices check jetson
    edgecnn devices check ssh://user@192.168.1.20
    """  # noqa: D301  \b is click's word for 'do not wrap'
    _check(speaker, name)


@click.command()
@click.option("--device", default="local", show_default=True, help="What to look at.")
@options.speaking
def doctor(*, speaker: Speaker, device: str) -> None:
    """Say what this machine has and lacks, and what mends it."""
    _check(speaker, device)


def _check(speaker: Speaker, name: str) -> None:
    from edgecnn.devices.checkup import check_device

    found = check_device(name)
    for label, text in _lines(found):
        speaker.line(label, text)
    speaker.result(_document(found))
    for need in found.needs:
        if need.stops != "nothing":
            raise DeviceError(f"{name}: {need.what}", hint=need.remedy)
        speaker.warn(f"{need.what}: {need.remedy}")


def _entry(device: Any) -> dict[str, Any]:
    return {"name": device.name, "url": str(device.address), "python": device.python}


def _lines(found: Checkup) -> list[tuple[str, str]]:
    from edgecnn.files import human_size
    from edgecnn.profiling.report import device_line

    hello = found.hello
    version = ".".join(map(str, hello.python))
    packages = [
        f"{name} {version or '(version unknown)'}"
        for name, version in hello.packages.items()
        if version is not None
    ]
    lines = [
        ("device", f"{found.name}   {found.where}"),
        ("board", ", ".join(filter(None, (hello.board.title, hello.system)))),
        ("python", f"{version}   {hello.executable}"),
        ("packages", ", ".join(packages) or "none that matter"),
        ("files", f"{hello.folder}   {human_size(hello.free_bytes)} free"),
    ]
    if found.facts is not None:
        lines.append(("state", device_line(found.facts)))
    return lines + [("steadier", command) for command in found.advice]


def _document(found: Checkup) -> dict[str, Any]:
    hello = found.hello
    board = {
        "kind": hello.board.kind,
        "name": hello.board.name,
        "series": hello.board.series,
        "l4t": hello.board.l4t,
        "jetpack": hello.board.jetpack,
    }
    return {
        "format": 1,
        "name": found.name,
        "where": found.where,
        "board": board,
        "system": hello.system,
        "python": ".".join(map(str, hello.python)),
        "packages": dict(hello.packages),
        "free_bytes": hello.free_bytes,
        "needs": [
            {"what": need.what, "remedy": need.remedy, "stops": need.stops} for need in found.needs
        ],
        "advice": list(found.advice),
        "facts": found.facts,
    }
