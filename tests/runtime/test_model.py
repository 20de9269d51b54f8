"""A loaded model: answers with their age, from any thread, until it is closed."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.contract import Contract, Preprocess, TensorSpec
from edgecnn.errors import ContractError, DataError, EngineError, UsageError
from edgecnn.onnxfile import read_contract, write_contract
from edgecnn.runtime import Camera, Classification, Model, load
from edgecnn.runtime.engines.base import Engine, Feeds
from edgecnn.runtime.engines.ort import open_graph
from edgecnn.runtime.engines.switching import SwitchingEngine
from edgecnn.runtime.results import segmentation
from tests.profiling.toys import SIDE, color_picture, write_color_net


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGECNN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield write_color_net(tmp_path_factory.mktemp("model") / "net.onnx", work=20)


@pytest.fixture
def model(net: Path) -> Iterator[Model]:
    with load(net, threads=1) as model:
        yield model


def test_an_answer_names_the_best_classes(model: Model) -> None:
    result = model(color_picture(5))
    assert isinstance(result, Classification)
    assert [label.index for label in result.top(1)] == [5]
    assert result.best == result.top(1)[0]
    assert len(result.top(3)) == 3
    assert result.top(3)[0].score >= result.top(3)[1].score
    assert [label.name for label in model.classify(color_picture(5), top=1)] == ["color 5"]


def test_an_answer_is_as_old_as_its_capture(model: Model) -> None:
    assert 0 < model(color_picture(1)).age_ms < 5000
    with Camera([color_picture(1)]) as camera:
        (frame,) = camera
        time.sleep(0.05)
        assert model(frame.image).age_ms > 50
        assert model(frame.image[:10].copy()).age_ms > 50


def test_threads_get_the_answers_to_their_own_pictures(model: Model) -> None:
    def answers(index: int) -> bool:
        result = model(color_picture(index))
        assert isinstance(result, Classification)
        return result.top(1)[0].index == index % 8

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(answers, range(200)))


def test_a_model_that_is_closed_says_so_and_may_be_closed_again(net: Path) -> None:
    model = load(net, threads=1)
    model.close()
    model.close()
    with pytest.raises(EngineError, match="closed"):
        model(color_picture(0))


def test_closing_waits_for_the_call_that_is_under_way(net: Path) -> None:
    model = load(net, threads=1)
    errors: list[Exception] = []

    def use() -> None:
        try:
            while True:
                model(color_picture(0))
        except EngineError:
            pass
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    model.close()
    for thread in threads:
        thread.join()
    assert not errors


def test_the_parts_are_there_for_those_who_go_their_own_way(model: Model) -> None:
    image = color_picture(3)
    tensor = model.preprocess(image)
    assert tensor.shape == (1, 3, SIDE, SIDE)
    again = model.preprocess(color_picture(4), out=tensor)
    assert again is tensor
    np.testing.assert_array_equal(again, model.preprocess(color_picture(4)))
    (spec,) = model.engine.inputs
    logits = model.engine.run({spec.name: tensor})["logits"]
    assert logits.argmax() == 4


STRANGE: tuple[Any, ...] = (
    None, "cat.jpg", 7, [[1, 2, 3]], np.zeros((4, 4, 3)), np.zeros((4, 4, 1), np.uint8),
    np.zeros((3, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros(12, np.uint8),
    np.zeros((1, 4, 4, 3), np.uint8), np.zeros((4, 4, 3), bool), np.zeros((4, 4, 3), np.int8),
    np.array(None), np.zeros((4, 4, 3), "U1"), np.zeros((), np.uint8),
)  # fmt: skip


@pytest.mark.parametrize("strange", STRANGE, ids=repr)
def test_what_is_no_image_is_refused(model: Model, strange: Any) -> None:
    with pytest.raises(DataError, match="is no image"):
        model(strange)


def test_200_malformed_frames_are_refused(model: Model) -> None:
    """Arrays of random shapes and types, none of which is an image."""
    random = np.random.default_rng(0)
    types = (np.uint8, np.int8, np.uint16, np.float16, np.float32, np.complex64, np.bool_, object)
    refused = 0
    while refused < 200:
        shape = tuple(random.integers(0, 6, random.integers(0, 6)))
        frame: Any = np.zeros(shape, random.choice(np.array(types, dtype=object)))
        if frame.dtype == np.uint8 and frame.size and (frame.ndim == 2 or shape[2:] == (3,)):
            continue
        with pytest.raises(DataError, match="is no image"):
            model(frame)
        refused += 1


def test_images_of_any_size_and_any_place_in_memory_are_answered(model: Model) -> None:
    """200 frames of random shapes, views and orders: the answer is that of the plain copy."""
    random = np.random.default_rng(0)
    for _ in range(200):
        height, width = random.integers(1, 90, 2)
        whole = random.integers(0, 256, (height * 2, width * 2, 3), dtype=np.uint8)
        steps = tuple(slice(None, None, int(step)) for step in random.choice([-2, -1, 1, 2], 2))
        view = whole[(*steps, slice(None, None, int(random.choice([-1, 1]))))]
        if random.random() < 0.3:
            view = np.asfortranarray(view)
        result, plain = model(view), model(view.copy())
        assert isinstance(result, Classification)
        assert isinstance(plain, Classification)
        np.testing.assert_array_equal(result.scores, plain.scores)


# One engine serves while another is built


class Slow:
    """A real session that is a while in coming."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.go = threading.Event()

    def __call__(self) -> Engine:
        self.go.wait()
        return open_graph(self.path, graph="the second", threads=1)


def fed(engine: Engine, index: int) -> int:
    picture = np.tile(np.array(color_picture(index).mean((0, 1)) / 255, np.float32), (16, 16, 1))
    feeds: Feeds = {"image": picture.transpose(2, 0, 1)[None]}
    return int(engine.run(feeds)["logits"].argmax())


def test_the_better_engine_takes_over_between_two_runs(net: Path) -> None:
    slow = Slow(net)
    engine = SwitchingEngine(open_graph(net, graph="the first", threads=1), slow)
    assert engine.facts["graph"] == "the first"
    assert engine.facts["better engine"] == "being built"
    assert not engine.wait(0)
    wrong: list[int] = []
    stop = threading.Event()

    def use(index: int) -> None:
        while not stop.is_set():
            if fed(engine, index) != index:
                wrong.append(index)

    threads = [threading.Thread(target=use, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    slow.go.set()
    assert engine.wait(60)
    assert engine.facts["graph"] == "the second"
    assert engine.facts["better engine"] == "in service"
    assert fed(engine, 6) == 6
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    engine.close()


def test_an_engine_that_cannot_be_built_leaves_the_first_in_service(net: Path) -> None:
    def fails() -> Engine:
        raise EngineError("no memory on the GPU", hint="close other programs")

    engine = SwitchingEngine(open_graph(net, graph="the first", threads=1), fails)
    assert engine.wait(60)
    assert engine.facts["better engine"] == "not built: no memory on the GPU"
    assert fed(engine, 2) == 2
    engine.close()


def test_an_engine_of_another_file_is_not_used(net: Path, tmp_path: Path) -> None:
    other = write_color_net(tmp_path / "other.onnx", classes=4)
    slow = Slow(other)
    slow.go.set()
    engine = SwitchingEngine(open_graph(net, graph="the first", threads=1), slow)
    assert engine.wait(60)
    assert "its outputs are not those" in engine.facts["better engine"]
    assert engine.facts["graph"] == "the first"
    engine.close()


def test_an_engine_that_comes_after_the_end_is_closed(net: Path) -> None:
    slow = Slow(net)
    engine = SwitchingEngine(open_graph(net, graph="the first", threads=1), slow)
    engine.close()
    slow.go.set()
    assert engine.wait(60)
    assert engine.facts["better engine"] == "being built", "it never took over"


# Segmentation


def segmented(size: tuple[int, int], output: NDArray[np.float32], frame: tuple[int, int]) -> Any:
    spec = TensorSpec("x", "float32", (1,))
    contract = Contract((spec,), (spec,), Preprocess(size=size, pad=0), task="segmentation")
    return segmentation(output, contract, frame)


def test_each_pixel_of_the_frame_gets_the_class_of_its_place() -> None:
    output = np.zeros((1, 3, 4, 4), np.float32)
    output[0, 1, :, :2] = output[0, 2, :, 2:] = 1
    found = segmented((8, 8), output, (40, 40))
    np.testing.assert_array_equal(found.classes, [[1, 1, 2, 2]] * 4)
    in_frame = found.in_frame()
    assert in_frame.shape == (40, 40)
    np.testing.assert_array_equal(in_frame[:, :20], 1)
    np.testing.assert_array_equal(in_frame[:, 20:], 2)


def test_one_channel_divides_at_zero() -> None:
    output = np.array([[[[-1.0, 2.0], [0.5, 0.0]]]], np.float32)
    np.testing.assert_array_equal(segmented((2, 2), output, (2, 2)).classes, [[0, 1], [1, 0]])


def test_what_the_crop_cut_off_has_no_class(net: Path) -> None:
    spec = TensorSpec("x", "float32", (1,))
    contract = Contract((spec,), (spec,), Preprocess(size=(8, 8), resize=8), task="segmentation")
    found = segmentation(np.ones((1, 1, 8, 8), np.float32), contract, (8, 16)).in_frame()
    np.testing.assert_array_equal(found[:, 4:12], 1)
    assert (found[:, :4] == -1).all()
    assert (found[:, 12:] == -1).all()


def test_a_row_of_classes_is_no_map() -> None:
    with pytest.raises(ContractError, match="1x10, which is no map"):
        segmented((8, 8), np.zeros((1, 10), np.float32), (8, 8))


def test_a_detector_is_not_asked_for_classes(model: Model) -> None:
    with pytest.raises(ContractError, match="finds no boxes"):
        model.detect(color_picture(0))


@pytest.mark.parametrize("threads", [0, -1, "2", 1.5])
def test_no_number_of_threads_is_refused(net: Path, threads: Any) -> None:
    with pytest.raises(UsageError, match="threads"):
        load(net, threads=threads)


@pytest.mark.parametrize("count", [2, 9])
def test_a_contract_names_each_class_or_none(net: Path, tmp_path: Path, count: int) -> None:
    contract = read_contract(net)
    for labels in ((), tuple(map(str, range(count)))):
        write_contract(net, tmp_path / "net.onnx", dataclasses.replace(contract, labels=labels))
        if not labels:
            load(tmp_path / "net.onnx", threads=1).close()
            continue
        with pytest.raises(ContractError, match=f"{count} names for 8 classes"):
            load(tmp_path / "net.onnx", threads=1)
