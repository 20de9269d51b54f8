"""What a graph's layers do, counted in files."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import ModelProto

from edgecnn.errors import GraphError
from edgecnn.graph.work import LayerWork, work_of
from tests.toy import Net, depthwise


def saved(model: ModelProto, folder: Path) -> Path:
    onnx.save(model, folder / "net.onnx")
    return folder / "net.onnx"


def test_each_layer_is_counted_once_and_activations_not(tmp_path: Path) -> None:
    net = Net(side=8)
    maps = net.relu(net.conv("image", 4, strides=[2, 2]))
    file = saved(net.model(net.head(maps)), tmp_path)
    conv, pool, linear = work_of(file)
    assert conv == LayerWork("dense", 3 * 9 * 4 * 16, 3 * 64 + 4 * 3 * 9 + 4 * 16)
    assert pool == LayerWork("other", 0, 64 + 4)
    assert linear == LayerWork("linear", 40, 4 + 40 + 10)


def test_convolutions_are_told_apart(tmp_path: Path) -> None:
    kinds = [work.kind for work in work_of(saved(depthwise(), tmp_path))]
    assert kinds[:4] == ["dense", "pointwise", "depthwise", "pointwise"]


def test_quantizing_changes_no_work(tmp_path: Path) -> None:
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    from tests.toy import images

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        left = iter([{"image": image} for image in images(4)()])

        def get_next(self) -> object:
            return next(self.left, None)

    file = saved(depthwise(), tmp_path)
    quantize_static(str(file), str(tmp_path / "int8.onnx"), Reader(), per_channel=True)
    assert work_of(tmp_path / "int8.onnx") == work_of(file)


def test_open_sizes_are_refused_and_an_open_batch_is_one_image(tmp_path: Path) -> None:
    net = Net()
    net.shape = ("n", 3, 16, 16)
    model = net.model(net.head(net.relu(net.conv("image", 8))))
    first = work_of(saved(model, tmp_path))[0]
    assert first.macs == 3 * 9 * 8 * 256
    net = Net()
    net.shape = (1, 3, "h", "w")
    model = net.model(net.head(net.relu(net.conv("image", 8))))
    with pytest.raises(GraphError, match="is not known"):
        work_of(saved(model, tmp_path))
