"""Networks of torchvision and timm with their weights, and the preprocessing stated with these."""

from __future__ import annotations

import contextlib
import importlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from edgecnn.contract import Preprocess
from edgecnn.errors import EdgecnnError, UsageError, WeightsError
from edgecnn.pipeline.sources import Network

_IMAGENET_CLASSES = 1000


def load_from_library(library: str, name: str, *, weights: str | None, seed: int) -> Network:
    """A network of `torchvision` or `timm`; `weights` is `official`, `random` or None.

    Raises UsageError where the library is missing, does not know the name or states no
    preprocessing, WeightsError where the weights cannot be had.
    """
    if weights not in (None, "official", "random"):
        raise UsageError(
            f"--weights {weights} does not go with {library}:{name}", hint="official or random"
        )
    from edgecnn.zoo.randomize import content_sha256
    from edgecnn.zoo.seed import seeded

    installed = _installed(library)
    load: Callable[..., Network] = {"torchvision": _torchvision, "timm": _timm}[library]
    with seeded(seed), _telling(f"{library}:{name}"):
        network = load(installed, name, pretrained=weights != "random")
    sha256 = content_sha256(network.module)
    if weights != "random":
        return replace(network, weights={**network.weights, "sha256": sha256})
    drawn = {"source": "random", "sha256": sha256, "tag": "random"}
    return replace(network, labels=(), weights=drawn, published=None)


def _installed(library: str) -> Any:
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        if error.name != library:
            raise
        raise UsageError(
            f"{library} is not installed",
            hint=f"pip install {library}, or take a network that is here: edgecnn models",
        ) from error


@contextlib.contextmanager
def _telling(model: str) -> Iterator[None]:
    """What a library raises, as ours."""
    try:
        yield
    except EdgecnnError:
        raise
    except OSError as error:  # URLError and timm's download errors are among them
        raise WeightsError(
            f"{model}: its weights cannot be fetched: {error}",
            hint="bring the file into the library's own cache, or --weights random",
        ) from error
    except (ValueError, KeyError, RuntimeError) as error:
        raise UsageError(f"{model}: {error}", hint="see the library's own list of names") from error


def _torchvision(library: Any, name: str, *, pretrained: bool) -> Network:
    models = importlib.import_module("torchvision.models")
    weights = models.get_model_weights(name).DEFAULT
    preprocess = _from_transforms(f"torchvision:{name}", weights.transforms())
    metrics = weights.meta.get("_metrics", {})
    published = [
        {"top1": values["acc@1"], "source": f"torchvision, {data} validation, {weights.name}"}
        for data, values in metrics.items()
        if "acc@1" in values
    ]
    return Network(
        name=name,
        title=f"{name} of torchvision {library.__version__}",
        module=models.get_model(name, weights=weights if pretrained else None),
        preprocess=preprocess,
        labels=tuple(weights.meta.get("categories", ())),
        weights={"source": f"torchvision {weights}", "tag": weights.name},
        published=published[0] if published else None,
    )


def _from_transforms(model: str, transforms: Any) -> Preprocess:
    """The preset of a classifier's weights; raises UsageError for those of other tasks."""
    if not hasattr(transforms, "crop_size"):
        raise UsageError(
            f"{model} does not classify", hint="wrap it in a function: package.module:function"
        )
    (side,), (resize,) = transforms.crop_size, transforms.resize_size
    return Preprocess(
        size=(side, side),
        resize=resize,
        filter=transforms.interpolation.value,
        antialias=bool(transforms.antialias),
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
    )


def _timm(library: Any, name: str, *, pretrained: bool) -> Network:
    network = library.create_model(name, pretrained=pretrained)
    config: Mapping[str, Any] = importlib.import_module("timm.data").resolve_model_data_config(
        network
    )
    given: Mapping[str, Any] = network.pretrained_cfg
    tag = given.get("tag") or "default"
    return Network(
        name=name,
        title=f"{name} of timm {library.__version__}",
        module=network,
        preprocess=_from_config(f"timm:{name}", config),
        labels=_labels(given),
        weights={"source": f"timm {given.get('hf_hub_id') or name}", "tag": tag},
    )


def _from_config(model: str, config: Mapping[str, Any]) -> Preprocess:
    """The centre is cut out of an image resized to size / crop_pct; raises UsageError else."""
    _, height, width = config["input_size"]
    crop, mode = float(config["crop_pct"]), config.get("crop_mode", "center")
    if mode == "center":
        resize = math.floor(max(height, width) / crop)
    elif mode == "squash" and crop == 1:
        resize = None
    else:
        raise UsageError(
            f"{model}: its images are cut by {mode!r} with {crop}, which is not supported",
            hint="wrap it in a function: package.module:function, with --size and so on",
        )
    return Preprocess(
        size=(height, width),
        resize=resize,
        filter=config["interpolation"],
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def _labels(config: Mapping[str, Any]) -> tuple[str, ...]:
    """ImageNet's classes, whose order timm shares, for weights that end there."""
    from edgecnn.zoo.labels import load_labels

    ends_there = config.get("num_classes") == _IMAGENET_CLASSES
    return load_labels("imagenet1k") if ends_there else ()
