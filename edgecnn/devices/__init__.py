"""Where a profile runs: devices that run the verbs of `edgecnn.runtime` and hold files."""

from edgecnn.devices.device import Device
from edgecnn.devices.local import LocalDevice
from edgecnn.devices.remote import RemoteDevice
from edgecnn.devices.worker import Worker

__all__ = ["Device", "LocalDevice", "RemoteDevice", "Worker"]
