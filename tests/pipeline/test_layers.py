"""An engine's layers beside the nodes of the file: whose work is whose."""

from __future__ import annotations

from pathlib import Path

from edgecnn.pipeline.layers import joined
from edgecnn.profiling.layers import TimedLayer, TimedLayers
from tests.profiling.toys import SIDE, write_color_net

FOUND = TimedLayers(
    (
        TimedLayer("Conv_nchwc", ("busy_0",), "Conv", "fp32", 1.0),
        TimedLayer("ReorderOutput", ("busy_0",), "ReorderOutput", "fp32", 0.1),
        TimedLayer("gemm", ("logits",), "Gemm", "", 0.1),
    ),
    run_ms=1.3,
    profiled_ms=1.4,
    runs=10,
)


def test_a_change_of_layout_does_not_do_the_work_of_what_it_changes(tmp_path: Path) -> None:
    file = write_color_net(tmp_path / "net.onnx", work=1)
    convolution, reorder, gemm = joined(FOUND, file, batch=1).layers
    assert convolution.macs == 9 * 3 * 3 * SIDE * SIDE
    assert convolution.moved_bytes == 4 * (2 * 3 * SIDE * SIDE + 81)
    assert (reorder.nodes, reorder.macs, reorder.moved_bytes) == ((), None, None)
    assert gemm.macs == 3 * 8
    assert gemm.moved_bytes is None, "of what type its values are nobody said"


def test_a_file_that_cannot_be_read_leaves_the_times(tmp_path: Path) -> None:
    assert joined(FOUND, tmp_path / "gone.onnx", batch=1) == FOUND
