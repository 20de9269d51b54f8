"""Ring when one of the wanted things stands before the camera, once for each visit.

python examples/doorbell.py mobilenetv2.int8.onnx v4l2:///dev/video0 --want "golden retriever"
"""

import argparse
import sys

from edgecnn.errors import EdgecnnError
from edgecnn.runtime import Camera, Detections, load

AWAY = 15  # answers without it until the visit is over


def seen(result) -> set[str]:
    """The names of what is surely there."""
    if isinstance(result, Detections):
        return set(result.names)
    return {result.best.name} if result.best else set()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("source")
    parser.add_argument("--want", action="append", required=True, metavar="NAME")
    parser.add_argument("--sure", type=float, default=0.5, help="the least score that counts")
    options = parser.parse_args()
    visits, missed = 0, AWAY
    with load(options.file) as model, Camera(options.source) as camera:
        for answer in model.stream(camera, smoothing=0.5, threshold=options.sure):
            found = seen(answer.result) & set(options.want)
            if found and missed >= AWAY:
                visits += 1
                print(f"ding dong: {', '.join(sorted(found))}, frame {answer.frame.sequence}")
            missed = 0 if found else missed + 1
    print(f"{visits} visits")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EdgecnnError as error:
        sys.exit(f"{error}\n{error.hint}")
