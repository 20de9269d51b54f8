"""The class names that networks were trained with."""

from __future__ import annotations

from importlib import resources

from edgecnn.errors import UsageError

_DIGITS = tuple("0123456789")


def load_labels(name: str) -> tuple[str, ...]:
    """The names of a label set's classes in order: `imagenet1k` (1000) or `digits` (10).

    Raises UsageError for another name.
    """
    if name == "digits":
        return _DIGITS
    if name == "imagenet1k":
        text = resources.files("edgecnn.zoo").joinpath("labels/imagenet1k.txt").read_text("utf-8")
        return tuple(text.splitlines())
    raise UsageError(f"there is no label set named {name!r}", hint="imagenet1k or digits")
