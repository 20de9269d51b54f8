"""From the word after `--device` to the device."""

from __future__ import annotations

import json
from typing import Any

from edgecnn.devices.device import Device
from edgecnn.devices.local import LocalDevice
from edgecnn.errors import DeviceError

_FACTS_TIMEOUT_S = 60.0


def find_device(name: str) -> Device:
    """The device of that name; raises DeviceError where there is none."""
    if name == "local":
        return LocalDevice()
    raise DeviceError(
        f"there is no device named {name!r}",
        hint="run edgecnn on the device itself, without --device",
    )


def facts_of(device: Device) -> dict[str, Any]:
    """What a device is and what state it is in; raises DeviceError for an answer that is none."""
    answer = device.run(["facts"], timeout_s=_FACTS_TIMEOUT_S)
    try:
        facts = json.loads(answer)
    except ValueError as error:
        raise DeviceError(
            f"{device.name}: its facts are not JSON ({answer[:60]!r})", hint="run it with --debug"
        ) from error
    if not isinstance(facts, dict):
        raise DeviceError(f"{device.name}: no facts in its answer", hint="run it with --debug")
    return facts
