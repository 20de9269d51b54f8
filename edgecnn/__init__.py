"""edgecnn takes a CNN written in PyTorch to a camera on an edge device.

This module imports nothing, so that `import edgecnn.runtime` on the device stays light.
The toolkit's verbs (`edgecnn.export`, `edgecnn.quantize`, ...) are resolved on first use.
"""

__version__ = "0.1.0"

_VERBS = {
    "export": "edgecnn.pipeline.export",
    "quantize": "edgecnn.pipeline.quantize",
    "half": "edgecnn.pipeline.half",
    "evaluate": "edgecnn.pipeline.measure",
    "profile": "edgecnn.pipeline.measure",
    "train": "edgecnn.pipeline.train",
    "load": "edgecnn.runtime",
}

__all__ = ["__version__", "evaluate", "export", "half", "load", "profile", "quantize", "train"]


def __getattr__(name: str) -> object:
    if name not in _VERBS:
        raise AttributeError(f"module 'edgecnn' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_VERBS[name]), name)


def __dir__() -> list[str]:
    return __all__
