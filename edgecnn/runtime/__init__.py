"""What runs on the camera: NumPy and one engine library.

from edgecnn.runtime import Camera, load

with load("mobilenetv2.int8.onnx") as model, Camera("v4l2:///dev/video0") as camera:
    for frame in camera:                    # always the newest
        result = model(frame.image)         # uint8, height x width x RGB
        print(result.top(3), f"{result.age_ms:.0f} ms after capture")

A detector's `model(image)` gives boxes in the frame's own pixels, with scores and names.
"""

from edgecnn.runtime.camera import Camera
from edgecnn.runtime.detections import Detections
from edgecnn.runtime.frames import Frame
from edgecnn.runtime.loading import load
from edgecnn.runtime.model import Model
from edgecnn.runtime.native import build_helper
from edgecnn.runtime.preprocess import preprocess
from edgecnn.runtime.results import Classification, Embedding, Label, Segmentation

__all__ = [
    "Camera",
    "Classification",
    "Detections",
    "Embedding",
    "Frame",
    "Label",
    "Model",
    "Segmentation",
    "build_helper",
    "load",
    "preprocess",
]
