"""One peer of bench-auto makes its file of a network, in the environment of its converter.

python auto_convert.py TOOL SOURCE IMAGES.npy TARGET
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np


def _litert(source: Path, images: Any, target: Path) -> None:
    """INT8 as LiteRT's own users make it of PyTorch: PT2E, a scale for each channel."""
    import litert_torch
    import torch
    from litert_torch.quantize.pt2e_quantizer import (
        PT2EQuantizer,
        get_symmetric_quantization_config,
    )
    from litert_torch.quantize.quant_config import QuantConfig
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    example = (torch.from_numpy(images[:1]),)
    config = get_symmetric_quantization_config(is_per_channel=True)
    quantizer = PT2EQuantizer().set_global(config)
    prepared = prepare_pt2e(_without_dropout(torch.export.load(source).module()), quantizer)
    for image in images:
        prepared(torch.from_numpy(image[None]))
    made = litert_torch.to_channel_last_io(convert_pt2e(prepared, fold_quantize=False), args=[0])
    example = (example[0].permute(0, 2, 3, 1).contiguous(),)
    quantized = litert_torch.convert(made, example, quant_config=QuantConfig(quantizer))
    quantized.export(str(target))


def _without_dropout(program: Any) -> Any:
    """The program without its dropouts, which do nothing when it answers.

    PT2E gives what one reads and what it passes on a scale each. The step between the two is lost
    in litert-torch's conversion, and the layer behind answers wrongly: a convolution, a mean, a
    dropout and a linear layer keep 41 dB in PyTorch and 0 dB in LiteRT.
    """
    import torch

    for node in program.graph.nodes:
        if node.target is torch.ops.aten.dropout.default:
            node.replace_all_uses_with(node.args[0])
            program.graph.erase_node(node)
    program.recompile()
    return program


def _ncnn(source: Path, images: Any, target: Path) -> None:
    """Float weights stored in FP16, as pnnx makes them."""
    package = find_spec("pnnx")  # to import it takes PyTorch, which its program does not need
    assert package is not None
    assert package.origin is not None
    shape = ",".join(map(str, images[:1].shape))
    with tempfile.TemporaryDirectory() as scratch:  # it writes a dozen files beside its source
        local = shutil.copy(source, scratch)
        weights = target.with_suffix(".bin")
        program = str(Path(package.origin).with_name("pnnx"))
        outputs = (f"ncnnparam={target}", f"ncnnbin={weights}")
        subprocess.run([program, local, f"inputshape=[{shape}]", *outputs], check=True, cwd=scratch)


TOOLS: dict[str, Callable[[Path, Any, Path], None]] = {"litert": _litert, "ncnn": _ncnn}

if __name__ == "__main__":
    tool, source, images, target = sys.argv[1:]
    TOOLS[tool](Path(source).resolve(), np.load(images), Path(target).resolve())
