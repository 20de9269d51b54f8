"""A network that names nothing: its vector, from the file to scripts, and what INT8 does to it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors import ContractError, DataError
from edgecnn.onnxfile import read_contract
from edgecnn.runtime import Embedding, load
from tests.cli.conftest import Edgecnn
from tests.photos import write_photos
from tests.profiling.toys import color_picture, write_color_net, write_pictures

PREPARED = ("--mean", "0", "--std", "1", "--resize", "16")


@pytest.fixture
def net(edgecnn: Edgecnn, tmp_path: Path) -> Path:
    """A file that says of itself that it embeds."""
    plain = write_color_net(tmp_path / "plain.onnx", work=1)
    said = edgecnn("export", plain, "--embedding", "-o", "net.onnx")
    assert said.code == 0, said.err
    return Path("net.onnx")


def test_alike_pictures_are_near_and_others_far(net: Path) -> None:
    assert read_contract(net).task == "embedding"
    with load(net, threads=1) as model:
        red, same, blue = (model(color_picture(index)) for index in (4, 12, 1))
        assert isinstance(red, Embedding)
        assert isinstance(same, Embedding)
        assert isinstance(blue, Embedding)
        assert red.age_ms > 0
        assert red.vector.shape == (8,)
        assert red.similarity(red) == pytest.approx(1)
        assert red.similarity(same) > 0.99 > red.similarity(blue)
        with pytest.raises(ContractError, match="whose answer is a vector"):
            model.classify(color_picture(0))
        with pytest.raises(DataError, match="vectors of 8 and 3 values"):
            red.similarity(Embedding(np.zeros(3, np.float32), model.contract))


def test_scripts_get_the_vector_and_people_are_told_how(
    edgecnn: Edgecnn, net: Path, tmp_path: Path
) -> None:
    folder = write_pictures(tmp_path / "pictures", [0, 5])
    said = edgecnn("classify", net, folder / "0", "--json")
    (answer,) = said.document["results"]
    assert len(answer["embedding"]) == 8
    lines = edgecnn("classify", net, folder / "5", "--json").out.splitlines()
    assert json.loads(lines[0])["results"][0]["embedding"] != answer["embedding"]
    refused = edgecnn("classify", net, folder / "0")
    assert refused.code == 2
    assert "--json" in refused.err


def test_int8_is_judged_by_the_angle(edgecnn: Edgecnn, net: Path, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 20)
    said = edgecnn("quantize", net, "--calibration", photos, "-o", "int8.onnx", "--effort", "fast")
    assert said.code == 0, said.err
    assert re.search(r"cosine (0\.9|1\.0)", said.out)
    assert "agreement" not in said.out + said.err
    assert read_contract(Path("int8.onnx")).task == "embedding"
    refused = edgecnn("evaluate", "int8.onnx", "--data", photos)
    assert "a network for embedding has no top-1" in refused.err
