"""Everything edgecnn raises on purpose.

EdgecnnError                 one line of cause, one line of advice; exit code 1
├── UsageError               it was asked wrongly; exit code 2
│   └── RecipeError          a recipe holds something that no step understands
├── FileError                a file cannot be read or written
├── ModelError               a model file is not what it should be
│   ├── ContractError        its contract is missing or damaged
│   └── GraphError           its graph cannot be transformed
├── DataError                images, labels or calibration sets that cannot be used
├── WeightsError             a checkpoint cannot be had or does not fit
├── ParityError              a step changed the answers more than it may
├── BudgetError              more accuracy or time is lost than was allowed
├── EngineError              an engine is missing, or failed to build or run
└── DeviceError              a device cannot be reached or does not answer
"""


class EdgecnnError(Exception):
    """The root of the tree: `str(error)` is the cause, `error.hint` the advice."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(EdgecnnError):
    """The request itself is wrong: an unknown name, options that exclude each other."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe holds a key or a value that no step understands."""


class FileError(EdgecnnError):
    """A file is missing, unreadable or cannot be written."""


class ModelError(EdgecnnError):
    """A model file is not what it should be."""


class ContractError(ModelError):
    """A model's contract is missing or damaged."""


class GraphError(ModelError):
    """A graph cannot be transformed as asked."""


class DataError(EdgecnnError):
    """Images, labels or a calibration set cannot be used."""


class WeightsError(EdgecnnError):
    """A checkpoint cannot be had, is damaged or does not fit its network."""


class ParityError(EdgecnnError):
    """A step changed the model's answers more than it may."""


class BudgetError(EdgecnnError):
    """More accuracy or time is lost than was allowed."""


class EngineError(EdgecnnError):
    """An inference engine is missing, or failed to build or run."""


class DeviceError(EdgecnnError):
    """A device cannot be reached or does not answer."""
