"""The device's end of a connection: sent to it as text, run by its own Python.

Each line that it says is `edgecnn NONCE {json}`, so that what a login shell prints is told apart.
`serve` says what the device is, then takes files into a cache in which a file's name is its
sha256; empty lines are signs of life, without which it ends. `run ARCHIVE KEEPER VERB...` starts
`python -m edgecnn.runtime` out of the archive, hands it its own stdin and stdout, and ends it when
the connection goes, or the process KEEPER, which is the `serve` of the same connection.

Standard library only, and in the words of Python 3.6: an old one must be able to say that it is.
"""

import ctypes
import errno
import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import select
import shutil
import signal
import subprocess
import sys
import time
from typing import Any, BinaryIO, Callable, Dict, Iterator, List, Optional

Say = Callable[[Dict[str, Any]], None]

PYTHONS = ("python3.10", "python3.11", "python3.12", "python3.13", "python3.14")
PACKAGES = (
    "numpy", "onnxruntime", "ai_edge_litert", "tensorrt", "tensorrt_rtx", "tensorrt_lean",
)  # fmt: skip

_CHUNK_BYTES = 1 << 16
_SPARE_BYTES = 16 << 20  # a disk is not filled to its last byte
_MAX_TEXT = 4096
_DAY_S = 86400
_PART_S = _DAY_S  # an interrupted transfer can be resumed for so long
_UNUSED_S = 30 * _DAY_S
_LEASE_S = 12 * 3600
_SILENCE_S = 150  # a cable that was pulled tells nobody
_GLANCE_S = 30
_GRACE_S = 3
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl


def main(arguments: List[str]) -> int:
    """Run one verb; the exit code is the verb's own."""
    verb, nonce, rest = arguments[0], arguments[1], arguments[2:]

    def say(document: Dict[str, Any]) -> None:
        sys.stdout.write("edgecnn %s %s\n" % (nonce, json.dumps(document)))
        sys.stdout.flush()

    try:
        return serve(say) if verb == "serve" else run(say, rest[0], int(rest[1]), rest[2:])
    except (BrokenPipeError, KeyboardInterrupt):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody listens; keep the exit quiet
        return 1


def serve(say: Say) -> int:
    """Say hello, then take and give files until stdin ends."""
    folder = os.path.join(cache_dir(), "remote")
    say(hello(folder))
    requests = sys.stdin.buffer
    for line in _lines(requests):
        try:
            request = json.loads(line.decode())
            os.makedirs(folder, mode=0o700, exist_ok=True)
            sweep(folder)
            if "get" in request:
                _get(request["get"], say)
            else:
                _put(os.path.join(folder, request["put"]), request["size"], requests, say)
        except OSError as error:
            say({"error": {"errno": error.errno, "message": error.strerror or str(error)}})
    return 0


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a stream that say something."""
    while True:
        _await_peer()
        line = stream.readline()
        signal.alarm(0)
        if not line:
            return
        if line.strip():
            yield line


def _await_peer() -> None:
    """What follows waits for the other end: SIGALRM ends this process where nothing comes."""
    signal.alarm(_SILENCE_S)


def cache_dir() -> str:
    """The same folder as that of `edgecnn.runtime.cache`."""
    own = os.environ.get("EDGECNN_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return own or os.path.join(base, "edgecnn")


def hello(folder: str) -> Dict[str, Any]:
    """What can be told without NumPy: the board, its system, its Python and its packages."""
    return {
        "pid": os.getpid(),
        "python": list(sys.version_info[:3]),
        "executable": sys.executable,
        "machine": platform.machine(),
        "model": _device_tree("model") or _text("/sys/class/dmi/id/product_name"),
        "compatible": _device_tree("compatible").replace("\0", " "),
        "tegra_release": _text("/etc/nv_tegra_release"),
        "os_release": _text("/etc/os-release"),
        "packages": {name: _version(name) for name in PACKAGES},
        "pythons": [name for name in PYTHONS if shutil.which(name)],
        "venv": importlib.util.find_spec("ensurepip") is not None,  # Debian has it in a package
        "folder": folder,
        "free_bytes": _free_bytes(folder),
    }


def _device_tree(name: str) -> str:
    return _text("/proc/device-tree/" + name) or _text("/sys/firmware/devicetree/base/" + name)


def _text(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            return stream.read(_MAX_TEXT).decode("utf-8", "replace").strip("\0 \n")
    except OSError:
        return ""


def _version(name: str) -> Optional[str]:
    """A package's version without importing it, '' where it does not say, None without it."""
    if importlib.util.find_spec(name) is None:
        return None
    try:
        from importlib.metadata import version

        return version(name)
    except Exception:  # before 3.8 there is no such module; apt's packages may lack metadata
        return ""


def _free_bytes(folder: str) -> int:
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return shutil.disk_usage(folder).free


def sweep(folder: str) -> None:
    """Remove what an interrupted transfer has left, and what nobody has used for long."""
    now_s = time.time()
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        try:
            if now_s - os.stat(path).st_mtime > (_PART_S if name.endswith(".part") else _UNUSED_S):
                os.unlink(path)
        except OSError:
            pass  # another session was faster


def _put(target: str, size: int, stream: BinaryIO, say: Say) -> None:
    """Take the bytes of a file that are not here yet; it appears whole and right, or not at all."""
    if os.path.isfile(target) and os.path.getsize(target) == size:
        os.utime(target)
        say({"path": target})
        return
    with _part(target) as part:
        offset = min(part.seek(0, os.SEEK_END), size)
        part.truncate(offset)
        if _free_bytes(os.path.dirname(target)) < size - offset + _SPARE_BYTES:
            os.unlink(part.name)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        say({"offset": offset})
        failure = _receive(stream, part, size - offset)
        if failure is not None:
            os.unlink(part.name)
            raise failure
        if _sha256(part) != os.path.basename(target):
            os.unlink(part.name)
            say({"damaged": True})
            return
        os.replace(part.name, target)
    say({"path": target})


def _part(target: str) -> BinaryIO:
    """The file that grows into the target, ours alone; that of another transfer is left to it."""
    part = open(target + ".part", "a+b")
    try:
        fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        part.close()
        part = open("%s.%d.part" % (target, os.getpid()), "w+b")
    return part


def _receive(stream: BinaryIO, part: BinaryIO, left: int) -> Optional[OSError]:
    """Write so many bytes of the stream; what could not be written is read all the same."""
    failure = None
    while left:
        _await_peer()
        chunk = stream.read(min(_CHUNK_BYTES, left))
        if not chunk:
            raise BrokenPipeError
        left -= len(chunk)
        try:
            if failure is None:
                part.write(chunk)
                part.flush()
        except OSError as error:
            failure = error
    signal.alarm(0)
    try:
        os.fsync(part.fileno())
    except OSError as error:
        failure = failure or error
    return failure


def _sha256(part: BinaryIO) -> str:
    digest = hashlib.sha256()
    part.seek(0)
    for chunk in iter(lambda: part.read(_CHUNK_BYTES), b""):
        digest.update(chunk)
    return digest.hexdigest()


def _get(path: str, say: Say) -> None:
    """Say a file's size, then its bytes."""
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        say({"size": size})
        left = size
        while left:
            chunk = stream.read(min(_CHUNK_BYTES, left)) or bytes(left)  # it was cut meanwhile
            _await_peer()
            sys.stdout.buffer.write(chunk)
            left -= len(chunk)
        sys.stdout.buffer.flush()


def run(say: Say, archive: str, keeper: int, verb: List[str]) -> int:
    """Run a verb of the runtime in the archive, for no longer than somebody listens."""
    path = [archive, os.environ.get("PYTHONPATH", "")]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, path)))
    environment["PYTHONSAFEPATH"] = "1"
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    say({"started": True})
    child = subprocess.Popen(
        [sys.executable, "-m", "edgecnn.runtime", *verb],
        env=environment,
        cwd=os.path.dirname(archive),  # files there have hashes for names: nothing to import
        preexec_fn=_die_with_parent,
        start_new_session=True,
    )
    _wait(child, woken, keeper)
    if child.returncode >= 0:
        return child.returncode
    sys.stderr.write("it was ended by %s\n" % signal.Signals(-child.returncode).name)
    return 128 - child.returncode


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)


def _wait(child: "subprocess.Popen[bytes]", woken: int, keeper: int) -> None:
    """Sleep until the child ends; end it where stdout is cut, the keeper gone, or half a day."""
    watch = select.poll()
    watch.register(1, 0)
    watch.register(woken, select.POLLIN)
    end_s = time.monotonic() + _LEASE_S
    while child.poll() is None:
        happened = dict(watch.poll(_GLANCE_S * 1000))
        if 1 in happened or time.monotonic() > end_s or not _is_there(keeper):
            _end(child)
        elif happened:
            os.read(woken, 64)


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:  # not there, or somebody else's who took its number
        return False
    return True


def _end(child: "subprocess.Popen[bytes]") -> None:
    try:
        child.wait(_GRACE_S)  # its stdin has ended, too
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
