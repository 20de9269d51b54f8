"""Files from strangers: 350 mutated models, contracts, images and clips, each ending in our error
or a right answer. Seeded, so that a failure can be run again."""

from __future__ import annotations

import io
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.contract import Contract, to_json
from edgecnn.datasets.images import read_image
from edgecnn.errors import ContractError, DataError, EdgecnnError
from edgecnn.onnxfile import read_contract, write_contract
from edgecnn.pipeline.export import ExportOptions, export
from edgecnn.runtime.camera import Camera
from edgecnn.runtime.loading import load
from tests.clips import write_clip

MODELS, CONTRACTS, IMAGES, CLIPS = 200, 50, 50, 50
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")


@pytest.fixture(scope="module")
def lenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("fuzz") / "lenet5.onnx"
    export("lenet5", output=target, options=ExportOptions(weights="random", images=8))
    return target


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A few bytes flipped, cut out, put in, or the end torn off."""
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 4, 12])):
        position = chance.randrange(len(changed))
        match chance.choices(("flip", "cut", "insert", "tear"), (85, 5, 6, 4))[0]:
            case "flip":
                changed[position] = chance.randrange(256)
            case "cut":
                del changed[position : position + chance.randrange(1, 40)]
            case "insert":
                changed[position:position] = chance.randbytes(chance.randrange(1, 20))
            case "tear":
                del changed[max(position, len(data) // 4) :]
    return bytes(changed)


def test_mutated_models_end_in_our_error_or_the_golden_check_judges_them(
    lenet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "cache"))
    data, endings = lenet.read_bytes(), Counter[str]()
    # Most bytes are weights; the structure is at the front of each field, the contract at the end.
    head, tail = data[:2500], data[-8000:]
    for seed in range(MODELS):
        chance = random.Random(seed)
        whole = chance.choice(
            [
                mutated(data, chance),
                mutated(head, chance) + data[len(head) :],
                data[: -len(tail)] + mutated(tail, chance),
            ]
        )
        path = tmp_path / "mutated.onnx"
        path.write_bytes(whole)
        try:
            with load(path, threads=1) as model:
                endings["passed" if model.verify().passed else "failed"] += 1
        except EdgecnnError as error:
            assert error.hint, seed
            endings["error"] += 1
    assert endings["passed"] > 0
    assert endings["error"] > MODELS // 4


def test_mutated_contracts_end_in_our_error_or_in_a_contract(lenet: Path, tmp_path: Path) -> None:
    contract = read_contract(lenet)
    text = to_json(contract)
    whole = tmp_path / "whole.onnx"
    write_contract(lenet, whole, contract)
    data = whole.read_bytes()
    start = data.index(text.encode())
    refused = 0
    for seed in range(CONTRACTS):
        chance = random.Random(seed)
        changed = bytearray(text.encode())
        for _ in range(chance.randrange(1, 5)):
            changed[chance.randrange(len(changed))] = chance.randrange(32, 127)
        path = tmp_path / "mutated.onnx"
        path.write_bytes(data[:start] + changed + data[start + len(text) :])
        try:
            assert isinstance(read_contract(path), Contract), seed
        except ContractError as error:
            assert str(path) in str(error), seed
            refused += 1
    assert refused > 0


def test_mutated_images_end_in_our_error_or_in_pixels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (37, 41, 3), dtype=np.uint8)
    refused = 0
    for seed in range(IMAGES):
        chance, buffer = random.Random(seed), io.BytesIO()
        Image.fromarray(pixels).save(buffer, FORMATS[seed % len(FORMATS)])
        path = tmp_path / f"mutated.{chance.choice(['png', 'jpg'])}"
        path.write_bytes(mutated(buffer.getvalue(), chance))
        try:
            image = read_image(path)
        except DataError as error:
            assert path.name in str(error), seed
            refused += 1
        else:
            assert image.ndim == 3, seed
            assert image.shape[2] == 3, seed
    assert 0 < refused < IMAGES


def test_mutated_clips_end_in_our_error_or_in_frames(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", count=8)
    data, refused = clip.read_bytes(), 0
    for seed in range(CLIPS):
        path = tmp_path / "mutated.mp4"
        path.write_bytes(mutated(data, random.Random(seed)))
        try:
            with Camera(path) as camera:
                assert all(frame.image.shape[2] == 3 for frame in camera), seed
        except EdgecnnError as error:
            assert path.name in str(error), seed
            assert error.hint, seed
            refused += 1
    assert 0 < refused < CLIPS
