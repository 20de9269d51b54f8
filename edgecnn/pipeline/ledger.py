"""What earlier runs of a recipe did, so that unchanged steps are skipped."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from edgecnn import __version__
from edgecnn.files import sha256_of, write_text

_FILE = "steps.json"


class Ledger:
    """For each step what went in and what came out, by content, in a file of the output folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._steps = self._read()

    def is_done(self, step: str, key: str) -> bool:
        """Whether the step ran on these very inputs and its outputs are still as it left them."""
        entry = self._steps.get(step)
        if not isinstance(entry, dict) or entry.get("key") != key:
            return False
        outputs = entry.get("outputs")
        return isinstance(outputs, dict) and all(
            Path(name).is_file() and sha256_of(Path(name)) == sha256
            for name, sha256 in outputs.items()
        )

    def keep(self, step: str, key: str, outputs: tuple[Path, ...]) -> None:
        """Write down that a step is done."""
        hashes = {str(path): sha256_of(path) for path in outputs}
        self._steps[step] = {"key": key, "outputs": hashes}
        document = {"format": 1, "steps": self._steps}
        write_text(self._path, json.dumps(document, indent=1) + "\n")

    def _read(self) -> dict[str, Any]:
        try:
            steps = json.loads(self._path.read_text(encoding="utf-8"))["steps"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}  # a ledger that cannot be read costs time, never a wrong result
        return steps if isinstance(steps, dict) else {}


def key_of(*parts: object) -> str:
    """One sha256 over what a step depends on, this version of edgecnn included."""
    text = json.dumps([__version__, *parts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
