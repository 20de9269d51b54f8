"""A Dask cluster, reduced to what a fleet needs: workers, files, calls; errors in our words."""

from __future__ import annotations

import ipaddress
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edgecnn.devices import fleet_worker
from edgecnn.errors import DeviceError, UsageError
from edgecnn.files import read_error

_CONNECT_S = 10.0
_GATHER_S = 2.0
_LOOK_S = 0.5
_CHUNK_BYTES = 8 << 20
_MOST_RESTARTS = 2

_TLS = "tls:// with the certificates of Dask's own settings (distributed.comm.tls)"


class WorkerLostError(DeviceError):
    """A worker went while it had something to do: another may do it."""

    def __init__(self, worker: str) -> None:
        super().__init__(f"{worker}: the worker was lost", hint="is it still on? see its log")


@contextmanager
def open_cluster(address: str, *, plain: bool = False) -> Iterator[Cluster]:
    """Connect to the scheduler at `tls://host:port`, or `tcp://` on this machine.

    `plain` allows tcp to other machines. Raises UsageError for another address, DeviceError where
    Dask is not installed, nobody answers there, or one of another version.
    """
    check_address(address, plain=plain)
    try:
        import distributed
    except ImportError as error:
        raise DeviceError(
            "a fleet needs Dask, which is not installed", hint="pip install 'edgecnn[fleet]'"
        ) from error
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)  # what matters of it is told in our words
    try:
        with _connected(distributed.Client, address) as client:
            _check_versions(client, address)
            yield Cluster(client, address)
    finally:
        logger.setLevel(level)


def check_address(address: str, *, plain: bool) -> None:
    """Raise UsageError for what is no address of a scheduler, or one that is not to be trusted."""
    try:
        parts = urlsplit(address)
        known = parts.scheme in ("tcp", "tls") and parts.hostname and parts.port
    except ValueError:
        known = None
    if not known:
        raise UsageError(
            f"{address!r} is not the address of a Dask scheduler",
            hint="for example tls://10.0.0.5:8786, or on this machine tcp://127.0.0.1:8786",
        )
    if parts.scheme == "tcp" and not plain and not _is_loopback(str(parts.hostname)):
        raise UsageError(
            f"{address}: plain tcp to another machine, where anybody on the way can read and "
            "change what runs",
            hint=f"{_TLS}, an ssh tunnel to 127.0.0.1, or --allow-plain-tcp",
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def _connected(connect: Callable[..., Any], address: str) -> Iterator[Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about versions, which are checked after this
            client = connect(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        if address.startswith("tls:"):
            raise DeviceError(
                f"{address}: no connection ({said})", hint=f"is it {_TLS}?"
            ) from error
        raise DeviceError(
            f"{address}: no Dask scheduler answers there", hint="is it running? dask scheduler"
        ) from error
    try:
        yield client
    finally:
        client.close(timeout=_CONNECT_S)


def _check_versions(client: Any, address: str) -> None:
    found = client.get_versions()
    ours = found["client"]["packages"]["distributed"]
    for name, there in {address: found["scheduler"], **found["workers"]}.items():
        theirs = str(there["packages"].get("distributed"))
        if theirs != ours:
            raise DeviceError(
                f"{name}: runs Dask's distributed {theirs}, and here is {ours}",
                hint=f"pip install distributed=={ours} there, or =={theirs} here",
            )


class Cluster:
    """The workers that a scheduler knows, and what can be asked of them."""

    def __init__(self, client: Any, address: str) -> None:
        self._client = client
        self._address = address
        self._workers: dict[str, Mapping[str, float]] = {}
        self._looked_s = 0.0

    def workers(self) -> Mapping[str, Mapping[str, float]]:
        """What each worker has of each resource, by its address; half a second old at most.

        Raises DeviceError where the scheduler has gone.
        """
        if time.monotonic() - self._looked_s > _LOOK_S:
            known = self._client.scheduler_info(n_workers=-1)["workers"]
            self._workers = {
                str(address): {str(kind): float(count) for kind, count in said["resources"].items()}
                for address, said in known.items()
                if said.get("status") == "running"
            }
            self._looked_s = time.monotonic()
        if self._client.status != "running":
            raise DeviceError(
                f"{self._address}: the scheduler has gone",
                hint="run it again: results that are here already are kept",
            )
        return self._workers

    def send(self, worker: str, path: Path, sha256: str) -> None:
        """Bring a file to a worker, as far as it is not there.

        Raises WorkerLostError, DeviceError where the worker cannot keep it, FileError.
        """
        here, restarts = self._call(worker, fleet_worker.bytes_here, sha256), 0
        try:
            size = path.stat().st_size
            with path.open("rb") as stream:
                while here != size:
                    stream.seek(here)
                    chunk = stream.read(_CHUNK_BYTES)
                    answer = self._call(worker, fleet_worker.take, sha256, size, here, chunk)
                    restarts += answer == 0
                    if not isinstance(answer, int) or not 0 <= answer <= size:
                        raise _not_kept(worker, answer)
                    if restarts > _MOST_RESTARTS:
                        raise _not_kept(worker, "it arrives otherwise than it was sent")
                    here = answer
        except OSError as error:
            raise read_error(path, error) from error

    def start(
        self, worker: str, run: fleet_worker.Run, order: str, resources: Mapping[str, float]
    ) -> Any:
        """Start a job on a worker; a future that is asked by `text_of`."""
        return self._client.submit(
            fleet_worker.worked, run, order, workers=[worker], resources=resources or None,
            pure=False,
        )  # fmt: skip

    def text_of(self, future: Any, worker: str) -> str:
        """What an ended job gave; raises WorkerLostError, DeviceError where the job itself fell."""
        from distributed.scheduler import KilledWorker

        while future.status not in ("cancelled", "lost") and worker in self.workers():
            try:
                text = future.result(timeout=_GATHER_S)
            except TimeoutError:
                continue  # it lies there: a result goes with its worker
            except (KilledWorker, OSError) as error:
                raise WorkerLostError(worker) from error
            except Exception as error:
                raise _failed(worker, error) from error
            if not isinstance(text, str):
                raise DeviceError(f"{worker}: answered with no text", hint="run it with --debug")
            return text
        raise WorkerLostError(worker)

    def cancel(self, *futures: Any) -> None:
        """Forget jobs; what runs already runs to its end."""
        if self._client.status == "running":  # else there is nobody to tell
            self._client.cancel(list(futures), force=True)

    def _call(self, worker: str, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return self._client.run(function, *arguments, workers=[worker])[worker]
        except (OSError, KeyError, TimeoutError) as error:
            raise WorkerLostError(worker) from error
        except Exception as error:
            raise _failed(worker, error) from error


def _not_kept(worker: str, answer: object) -> DeviceError:
    return DeviceError(
        f"{worker}: cannot keep files ({str(answer)[:200]})",
        hint="make room there; what edgecnn keeps lies in ~/.cache/edgecnn",
    )


def _failed(worker: str, error: Exception) -> DeviceError:
    said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    if isinstance(error, ImportError):
        return DeviceError(
            f"{worker}: lacks what a job needs ({said})",
            hint="on the workers: pip install 'edgecnn[fleet,ort]', for sensitivity [toolkit], too",
        )
    return DeviceError(f"{worker}: a job fell there ({said})", hint="see the worker's own log")
