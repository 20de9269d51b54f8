"""Simplify one file in a process of its own: `python simplify_worker.py SOURCE TARGET`.

onnxsim is C++ and has been seen to crash; here it takes nothing down with it.
"""

from __future__ import annotations

import sys


def main(source: str, target: str) -> None:
    """Write the simplified model of `source` to `target`."""
    # onnxsim imports these for work that is not asked for here, and that takes longer than ours.
    for unused in ("torch", "sympy"):
        sys.modules[unused] = None  # type: ignore[assignment]
    import onnx
    import onnxsim

    model, _ = onnxsim.simplify(source, certify=False)
    onnx.save(model, target)


if __name__ == "__main__":
    main(*sys.argv[1:])
