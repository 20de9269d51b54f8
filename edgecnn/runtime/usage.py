"""What the kernel counts of this process."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path


def run_delay_ns() -> int | None:
    """How long this process's threads have waited for a CPU that others had, in ns.

    From the kernel's schedstat; None where it keeps none.
    """
    waited = []
    for thread in Path("/proc/self/task").glob("*/schedstat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            waited.append(int(thread.read_text().split()[1]))
    return sum(waited) if waited else None


def peak_rss_bytes() -> int:
    """The most memory this process ever held, in bytes.

    VmHWM where there is one: ru_maxrss starts with what the parent held when it forked.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
