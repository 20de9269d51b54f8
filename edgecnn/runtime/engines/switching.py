"""One engine serves while a better one is built; then that one takes over between two runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from edgecnn.contract import TensorSpec
from edgecnn.errors import EdgecnnError, EngineError
from edgecnn.runtime.engines.base import Engine, Feeds

_CLOSING_S = 0.5


class SwitchingEngine:
    """Runs on `first` until `build` returns another engine.

    `build` is called in a thread of its own. What it raises, or an engine with other inputs or
    outputs, leaves the first one in service; `facts` says why. No run ever sees both engines.
    """

    def __init__(self, first: Engine, build: Callable[[], Engine]) -> None:
        self._engine = first
        self._build = build
        self._running = threading.Lock()
        self._closed = False
        self._state = "being built"
        self.inputs, self.outputs = first.inputs, first.outputs
        self._thread = threading.Thread(target=self._replace, name="edgecnn build", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """The name of the engine that serves now."""
        return self._engine.name

    @property
    def facts(self) -> Mapping[str, str]:
        """Those of the engine that serves now; `better engine` says what became of the other."""
        return {**self._engine.facts, "better engine": self._state}

    def run(self, feeds: Feeds) -> dict[str, NDArray[Any]]:
        """Run once on the engine that serves now."""
        with self._running:
            return self._engine.run(feeds)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the building is over; whether it is."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Give the memory back; an engine that is still being built is dropped when it is done."""
        with self._running:
            self._closed = True
            self._engine.close()
        self._thread.join(_CLOSING_S)

    def _replace(self) -> None:
        try:
            better = self._build()
        except EdgecnnError as error:
            self._state = f"not built: {error}"
            return
        except Exception as error:  # a library's own; the camera goes on
            self._state = f"not built: {type(error).__name__}: {error}"
            return
        try:
            self._check(better)
        except EngineError as error:
            self._state = f"not used: {error}"
            better.close()
            return
        with self._running:
            old = better if self._closed else self._engine
            if not self._closed:
                self._engine = better
                self._state = "in service"
        old.close()

    def _check(self, better: Engine) -> None:
        """Refuse an engine that takes or gives something else."""
        for kind, mine, its in (
            ("inputs", self.inputs, better.inputs),
            ("outputs", self.outputs, better.outputs),
        ):
            if _outline(mine) != _outline(its):
                raise EngineError(
                    f"its {kind} are not those of {self._engine.name}",
                    hint="build it from the same file",
                )


def _outline(specs: tuple[TensorSpec, ...]) -> set[tuple[str, str, tuple[int | None, ...]]]:
    """Names, types and fixed sizes: engines call open sizes by names of their own."""
    return {
        (spec.name, spec.dtype, tuple(n if isinstance(n, int) else None for n in spec.shape))
        for spec in specs
    }
