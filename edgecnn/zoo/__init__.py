"""The networks in PyTorch, one family a file, and where their weights come from.

`catalog` knows every network by name and imports nothing heavy; `weights` makes one ready to
export; `describe` says how big it is, `outline` counts it.
"""

from edgecnn.zoo.catalog import find, names
from edgecnn.zoo.spec import ModelSpec, Published, WeightsSpec

__all__ = ["ModelSpec", "Published", "WeightsSpec", "find", "names"]
