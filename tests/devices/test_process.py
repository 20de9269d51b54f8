"""A child that is spoken to in lines: it answers, it dies, it hangs, and it never stays behind."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from edgecnn.devices.process import Process
from edgecnn.errors import DeviceError


def python(script: str) -> Process:
    return Process((sys.executable, "-c", script))


def is_gone(pid: int) -> bool:
    """Not running, and not a zombie either."""
    return not Path(f"/proc/{pid}").exists()


ECHO = "import sys\nfor line in sys.stdin: print('got ' + line.strip(), flush=True)"


def test_lines_go_there_and_come_back() -> None:
    child = python(ECHO)
    child.write_line("one")
    child.write_line("two")
    assert child.read_line(timeout_s=10) == "got one"
    assert child.read_line(timeout_s=10) == "got two"
    assert child.close() == 0
    assert is_gone(child.pid)


def test_the_end_of_its_output_reads_as_nothing() -> None:
    child = python("print('all')")
    assert child.read_line(timeout_s=10) == "all"
    assert child.read_line(timeout_s=10) == ""
    child.close()


def test_its_last_words_are_the_last_line_of_stderr() -> None:
    child = python("import sys; print('a\\nreason', file=sys.stderr); sys.exit(3)")
    assert child.read_line(timeout_s=10) == ""
    assert child.last_words() == "reason"
    assert child.close() == 3


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import sys; sys.exit(3)", "it ended with exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "it was ended by SIGKILL"),
    ],
)
def test_a_silent_death_is_named(script: str, words: str) -> None:
    child = python(script)
    assert child.read_line(timeout_s=10) == ""
    assert child.last_words() == words
    child.close()


def test_a_child_that_does_not_answer_is_not_waited_for() -> None:
    child = python("import time; time.sleep(60)")
    with pytest.raises(DeviceError, match="no answer"):
        child.read_line(timeout_s=0.1)
    child.close(patiently=False)
    assert is_gone(child.pid)


def test_a_child_that_does_not_go_is_ended_with_its_own_children() -> None:
    child = python(
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "other = subprocess.Popen(['sleep', '60'])\n"
        "print(other.pid, flush=True)\n"
        "time.sleep(60)"
    )
    grandchild = int(child.read_line(timeout_s=10))
    child.close(patiently=False)
    assert is_gone(child.pid)
    assert not _runs(grandchild)


def test_writing_to_a_child_that_has_gone_is_no_crash() -> None:
    child = python("pass")
    assert child.read_line(timeout_s=10) == ""
    for _ in range(3):
        child.write_line("hello?")
    child.close()


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(DeviceError, match="no-such-program"):
        Process(("no-such-program",))


def _runs(pid: int) -> bool:
    deadline_s = time.monotonic() + 5
    while time.monotonic() < deadline_s:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        if "Z" in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]:
            return False  # its new parent has not looked yet
        time.sleep(0.01)
    return True
