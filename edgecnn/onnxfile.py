"""An ONNX file's head and contract, read and written with nothing installed."""

from __future__ import annotations

from pathlib import Path

from edgecnn.contract import METADATA_KEY, Contract
from edgecnn.contract_json import from_json, to_json
from edgecnn.errors import ContractError, ModelError
from edgecnn.files import atomic_path, sha256_of, sha256_of_key
from edgecnn.onnxheader import MODEL_METADATA, Header, header_of, key_value
from edgecnn.protobuf import MalformedError, encode_bytes, fields, mapped

_NOT_ONNX = "give an .onnx file, or a model's name: edgecnn models"


def read_header(path: Path) -> Header:
    """Read and check a file's head.

    Raises FileError where it cannot be read, ModelError where it is not a whole ONNX file, keeps
    weights outside its own folder, or declares tensors that it cannot hold.
    """
    try:
        return header_of(mapped(path), path)
    except (MalformedError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{path}: not an ONNX file, or only a part of one ({error})", hint=_NOT_ONNX
        ) from error


def has_contract(path: Path) -> bool:
    """Whether a file carries a contract, whole or damaged; raises FileError, ModelError."""
    return METADATA_KEY in read_header(path).metadata


def read_contract(path: Path) -> Contract:
    """The contract inside a file; raises ContractError where there is none or it is damaged."""
    return contract_from(read_header(path).metadata.get(METADATA_KEY), path)


def contract_from(text: str | None, path: Path) -> Contract:
    """The contract that stands in a file as this text; raises ContractError as `read_contract`."""
    if text is None:
        raise ContractError(
            f"{path}: an ONNX file without an edgecnn contract",
            hint="say how its images are prepared: --size 224 --mean 0.5 --std 0.5 (see --help)",
        )
    return from_json(text, source=str(path))


def model_sha256(path: Path) -> str:
    """The sha256 of a model's content: the file's own, or with its weights' files over all of them.

    Raises FileError, ModelError.
    """
    parts = [sha256_of(path)]
    parts += [sha256_of(path.parent / location) for location in read_header(path).external]
    return parts[0] if len(parts) == 1 else sha256_of_key("".join(parts).encode())


def write_contract(source: Path | bytes, target: Path, contract: Contract) -> None:
    """Copy a model to `target` with this contract in it; all other bytes stay as they are.

    Fields of a protobuf message may come in any order, so the new one goes to the end.
    """
    entry = encode_bytes(1, METADATA_KEY.encode()) + encode_bytes(2, to_json(contract).encode())
    data = mapped(source) if isinstance(source, Path) else memoryview(source)
    with atomic_path(target) as temporary, temporary.open("wb") as out:
        for field in fields(data):
            if field.number == MODEL_METADATA and key_value(field.payload)[0] == METADATA_KEY:
                continue
            out.write(data[field.start : field.end])
        out.write(encode_bytes(MODEL_METADATA, entry))
