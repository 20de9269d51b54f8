"""A network that a function of somebody's builds, or that lies ready: package.module:name."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.contract import Preprocess, TensorSpec
from edgecnn.errors import UsageError
from edgecnn.onnxheader import Header
from edgecnn.pipeline.contracts import ContractOptions, contract_from_options
from edgecnn.pipeline.sources import Network

if TYPE_CHECKING:
    from torch import nn


def load_from_function(
    module: str, function: str, *, weights: str | None, seed: int, said: ContractOptions
) -> Network:
    """Import the module, as if started in this folder, and call the function without arguments; a
    network that lies there is taken as it is. What the module prints goes to stderr.

    Raises UsageError where it cannot be imported or called, gives no network that can be written,
    or where size, mean and std are not said.
    """
    name = f"{module}:{function}"
    if weights is not None:
        raise UsageError(
            f"--weights does not go with {name}", hint=f"load them inside {function}()"
        )
    if not module or not function:
        missing = "function" if module else "module"
        raise UsageError(f"{name}: no {missing} is named", hint="name it: package.module:function")
    preprocess = _preprocess(name, said)
    from edgecnn.zoo.foreign import check_weights
    from edgecnn.zoo.randomize import content_sha256
    from edgecnn.zoo.seed import seeded

    with _this_folder_first(), contextlib.redirect_stdout(sys.stderr):
        with seeded(seed):
            found = _named(module, function)
        # Anew: what an import draws must not change what the function draws.
        with seeded(seed):
            network = found if _is_network(found) else _called(name, found)
    check_weights(name, network)
    return Network(
        name=name,
        title=f"{type(network).__name__} of {name}",
        module=network,
        preprocess=preprocess,
        labels=(),
        weights={"source": f"built by {name}", "sha256": content_sha256(network), "tag": None},
    )


def _preprocess(name: str, said: ContractOptions) -> Preprocess:
    if said.size is None or said.mean is None or said.std is None:
        raise UsageError(
            f"{name}: it is not said how its images are prepared",
            hint="say it: --size 224 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225",
        )
    # The graph to come, as far as the preprocessing asks for it.
    channels = 1 if said.color == "GRAY" else 3
    images = TensorSpec("input", "float32", (1, channels, *said.size))
    logits = TensorSpec("logits", "float32", (1, "classes"))
    header = Header(0, 0, metadata={}, inputs=(images,), outputs=(logits,), quantized=False)
    return contract_from_options(header, said, name=name).preprocess


def _named(module: str, function: str) -> Any:
    """A function or a network; raises UsageError where there is neither."""
    try:
        imported = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"{module} cannot be imported: {_told(error)}",
            hint=f"it is looked for in {Path.cwd()} and among the installed packages",
        ) from error
    found: Any = getattr(imported, function, None)
    if not callable(found):
        raise UsageError(
            f"{module} has no function {function!r}", hint="name it: package.module:function"
        )
    return found


def _is_network(found: object) -> bool:
    """Whether it is a network and not the class of one."""
    return not isinstance(found, type) and callable(getattr(found, "state_dict", None))


def _called(name: str, build: Callable[[], Any]) -> nn.Module:
    try:
        network = build()
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"{name}() failed: {_told(error)}", hint="it is called without arguments"
        ) from error
    if not _is_network(network):
        raise UsageError(
            f"{name}() returned a {type(network).__name__}",
            hint="return an nn.Module with its weights loaded",
        )
    module: nn.Module = network
    return module


def _told(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"it ended the program, sys.exit({error.code!r})"
    return f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def _this_folder_first() -> Iterator[None]:
    """An installed command does not look into the folder in which it is called."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
