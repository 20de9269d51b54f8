"""Sounds to try a network that listens with: python examples/tones.py tones/

    edgecnn train recipes/tones/lenet5.toml --data tones/
    edgecnn export lenet5-tones.safetensors
    edgecnn quantize lenet5-tones.onnx --calibration lenet5-tones.trained.txt
    edgecnn evaluate lenet5-tones.int8.onnx --data lenet5-tones.held-out.tsv

Steady, rising and falling tones and noise, a folder each.
"""

from __future__ import annotations

import sys
from pathlib import Path

from edgecnn.datasets.tones import write_tones

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: tones.py FOLDER")
    print(write_tones(Path(sys.argv[1]), each=60), "sounds written")
