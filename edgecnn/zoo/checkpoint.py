"""Checkpoint files: tensors by name, and in our own files what network they belong to.

Files come from strangers. PyTorch's are opened with `weights_only=True`, which runs no code from
them, and only after a look at the sizes they declare; safetensors files hold no code at all.
"""

from __future__ import annotations

import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save
from torch import Tensor, nn

from edgecnn.contract import Preprocess
from edgecnn.contract_json import preprocess_from_dict, preprocess_to_dict
from edgecnn.errors import ContractError, WeightsError

PYTORCH_SUFFIXES = (".pth", ".pt", ".th", ".tar")
SUFFIXES = (*PYTORCH_SUFFIXES, ".safetensors")

_FORMAT = 1
_METADATA_KEY = "edgecnn"
_WRAPPERS = ("state_dict", "model_state_dict", "model")
# Put before every name by DataParallel and by torch.compile.
_PREFIXES = ("module.", "_orig_mod.")
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
_SAVE_AGAIN = "save it again: torch.save(model.state_dict(), FILE), or as safetensors"


@dataclass(frozen=True, slots=True)
class Identity:
    """What our own checkpoints say about themselves.

    `build` holds the arguments of the network's builder, such as `num_classes` and `width`;
    `training` is plain JSON: how the weights were learnt and what came of it.
    """

    model: str
    build: Mapping[str, int | float | bool]
    preprocess: Preprocess
    labels: tuple[str, ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The tensors of a file by parameter name (on the CPU), and its identity where it has one."""

    tensors: dict[str, Tensor]
    identity: Identity | None = None


def save_checkpoint(network: nn.Module, target: Path, identity: Identity) -> None:
    """Write a network's weights as safetensors; the same bytes for the same weights.

    Raises OSError; whoever calls it decides how the file appears (`files.atomic_path`).
    """
    document = {"format": _FORMAT, **asdict(identity)}
    document["preprocess"] = preprocess_to_dict(identity.preprocess)
    if not identity.training:
        del document["training"]
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    metadata = {_METADATA_KEY: json.dumps(document, sort_keys=True)}
    target.write_bytes(save(tensors, metadata))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the tensors of a .pth, .pt, .th or .safetensors file.

    A training script's wrapping ({"state_dict": ...}, names that begin with "module.") is taken
    off. Raises WeightsError for a file that is missing, damaged, hostile or not a checkpoint.
    """
    if not path.is_file():
        raise WeightsError(
            f"{path}: there is no such file",
            hint=f"--weights takes official[:TAG], random or a file ({', '.join(SUFFIXES)})",
        )
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise WeightsError(
            f"{path}: {suffix or 'no suffix'} is not a checkpoint's",
            hint=f"known are {', '.join(SUFFIXES)}",
        )
    read = _read_safetensors if suffix == ".safetensors" else _read_pytorch
    try:
        checkpoint = read(path)
    except WeightsError:
        raise
    # Whatever a damaged file makes of the two readers, it is the file that is wrong.
    except Exception as error:
        raise WeightsError(
            f"{path}: not a whole checkpoint ({_brief(error)})", hint=_SAVE_AGAIN
        ) from error
    _check_tensors(path, checkpoint.tensors)
    return checkpoint


def _read_safetensors(path: Path) -> Checkpoint:
    # The library refuses a header that is larger than the file, and tensors outside of it.
    with safetensors.safe_open(path, framework="pt") as stream:
        metadata = stream.metadata() or {}
        tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    identity = _identity(path, metadata[_METADATA_KEY]) if _METADATA_KEY in metadata else None
    return Checkpoint(dict(_without_prefix(tensors)), identity)


def _identity(path: Path, text: str) -> Identity:
    document = json.loads(text)
    if document.pop("format") != _FORMAT:
        raise WeightsError(
            f"{path}: written by another version of edgecnn", hint="update edgecnn, or train again"
        )
    try:
        preprocess = preprocess_from_dict(document["preprocess"])
    except ContractError as error:
        raise WeightsError(f"{path}: {error}", hint=error.hint) from error
    return Identity(
        model=str(document["model"]),
        build={str(name): value for name, value in document["build"].items()},
        preprocess=preprocess,
        labels=tuple(str(label) for label in document["labels"]),
        training=dict(document.get("training", {})),
    )


def _read_pytorch(path: Path) -> Checkpoint:
    if zipfile.is_zipfile(path):
        _check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # about how the file was pickled: it loads or it does not
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = "GLOBAL" in str(error)  # the only word for it; the class is that of all damage
        raise WeightsError(
            f"{path}: holds Python objects besides tensors, which are never run"
            if refused
            else f"{path}: not a PyTorch checkpoint",
            hint=_SAVE_AGAIN,
        ) from error
    return Checkpoint(dict(_without_prefix(_unwrapped(path, content))))


def _check_archive(path: Path) -> None:
    """Refuse an archive that would unpack to more than it is; PyTorch compresses nothing."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise WeightsError(f"{path}: a compressed archive, not a checkpoint", hint=_SAVE_AGAIN)
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise WeightsError(f"{path}: declares more bytes than it has", hint=_SAVE_AGAIN)


def _unwrapped(path: Path, content: object) -> Mapping[str, Any]:
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        raise WeightsError(
            f"{path}: holds a {type(content).__name__}, not tensors by name", hint=_SAVE_AGAIN
        )
    return content


def _without_prefix(tensors: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    names = [str(name) for name in tensors]
    skip = 0
    while prefix := next((p for p in _PREFIXES if _all_begin(names, p, skip)), ""):
        skip += len(prefix)
    for name, tensor in tensors.items():
        # torchvision's DenseNet files are older than the names of its modules.
        yield _OLD_DENSENET.sub(r"\1\2", str(name)[skip:]), tensor


def _all_begin(names: list[str], prefix: str, start: int) -> bool:
    return bool(names) and all(name.startswith(prefix, start) for name in names)


def _check_tensors(path: Path, tensors: Mapping[str, object]) -> None:
    if not tensors:
        raise WeightsError(f"{path}: holds no tensors", hint=_SAVE_AGAIN)
    for name, tensor in tensors.items():
        problem = _tensor_problem(tensor)
        if problem:
            raise WeightsError(f"{path}: {name!r:.80} {problem}", hint=_SAVE_AGAIN)


def _tensor_problem(tensor: object) -> str | None:
    """The first thing wrong with an entry of a checkpoint, or None."""
    if not isinstance(tensor, Tensor):
        return f"is not a tensor but of type {type(tensor).__name__}"
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
        return f"is a {tensor.dtype} {tensor.layout} tensor, not plain numbers"
    # A few bytes with strides of 0 can claim any shape; copying such a tensor would fill memory.
    if tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
        return "declares more values than it has"
    if not bool(torch.isfinite(tensor).all()):
        return "holds NaN or infinity"
    return None


def _brief(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:100]
