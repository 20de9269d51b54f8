"""What a camera app does, for interpreters that have NumPy and ONNX Runtime and nothing else.

python -m tests.runtime.on_device NET.onnx FRAMES.npz      prints the versions and every answer
"""

import json
import platform
import sys

import numpy as np

from edgecnn.runtime import Camera, Classification, load, preprocess

with np.load(sys.argv[2]) as stored:
    frames = [stored[name] for name in sorted(stored.files)]
with load(sys.argv[1], threads=1) as model:
    tensor = preprocess(frames[0], model.contract.preprocess)
    assert tensor.dtype == np.float32
    with Camera(frames) as camera, model.stream(camera, deadline_ms=1000) as stream:
        results = [answer.result for answer in stream]
    answers = [each.scores.tolist() for each in results if isinstance(each, Classification)]
    stats = stream.stats()
    with Camera(lambda: iter(frames)) as camera:
        for frame in camera:
            assert model(frame.image).age_ms >= 0
    facts = dict(model.engine.facts)
print(
    json.dumps(
        {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "engine": facts["engine"],
            "answered": stats.answered,
            "answers": answers,
        }
    )
)
