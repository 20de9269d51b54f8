"""What runs on the camera: NumPy and one engine library.

from edgecnn.runtime import load

with load("mobilenetv2.int8.onnx") as model:
    for label in model.classify(frame):     # uint8, height x width x RGB
        print(label.name, label.score)

A detector's `model.detect(frame)` gives boxes in the frame's own pixels, with scores and names.
"""

from edgecnn.runtime.detections import Detections
from edgecnn.runtime.model import Model, load
from edgecnn.runtime.preprocess import preprocess
from edgecnn.runtime.results import Label

__all__ = ["Detections", "Label", "Model", "load", "preprocess"]
