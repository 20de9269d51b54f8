"""The networks in PyTorch, one family a file, and where their weights come from.

`catalog` knows every network by name and imports nothing heavy; `weights` makes one ready to
export; `describe` and `count` say how big it is.
"""

from edgecnn.zoo.catalog import find, names
from edgecnn.zoo.spec import ModelSpec, Published, WeightsSpec

__all__ = ["ModelSpec", "Published", "WeightsSpec", "find", "names"]
