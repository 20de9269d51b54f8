"""A GStreamer pipeline as the camera: here a Jetson's, decoded and scaled by its own hardware.

python examples/gstreamer_pipeline.py mobilenetv2.int8.onnx
python examples/gstreamer_pipeline.py FILE 'videotestsrc num-buffers=100 ! video/x-raw,width=640'
"""

import sys

from edgecnn.errors import EdgecnnError
from edgecnn.runtime import Camera, load

JETSON = (
    "nvarguscamerasrc sensor-id=0"
    " ! video/x-raw(memory:NVMM),width=1280,height=720,framerate=30/1,format=NV12"
    " ! nvvidconv ! video/x-raw,format=BGRx"
)


def main(file: str, pipeline: str = JETSON) -> None:
    with load(file) as model, Camera(pipeline) as camera, model.stream(camera) as stream:
        for answer in stream:
            result = answer.result
            print(f"{answer.frame.sequence:5d}  {result.top(1)}  {result.age_ms:.1f} ms")
        print(stream.stats())


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except EdgecnnError as error:
        sys.exit(f"{error}\n{error.hint}")
