"""A ROS 2 node: classifies what comes on `image`, publishes names and scores as text on `labels`.

ros2 run usb_cam usb_cam_node_exe --ros-args -r image_raw:=image
python examples/ros_node.py mobilenetv2.int8.onnx
"""

import sys

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import String

from edgecnn.runtime import load

NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def pixels(message: Image) -> np.ndarray:
    """The message's pixels as RGB, without a copy; rows may be longer than they need be."""
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    image = rows[:, : 3 * message.width].reshape(message.height, message.width, 3)
    if message.encoding not in ("rgb8", "bgr8"):
        raise ValueError(f"encoding {message.encoding}: set the camera to rgb8 or bgr8")
    return image[:, :, ::-1] if message.encoding == "bgr8" else image


class Classifier(Node):
    def __init__(self, model) -> None:
        super().__init__("edgecnn")
        self._model = model
        self._labels = self.create_publisher(String, "labels", 10)
        self.create_subscription(Image, "image", self._answer, NEWEST)

    def _answer(self, message: Image) -> None:
        result = self._model(pixels(message))
        text = ", ".join(f"{label.name} {label.score:.2f}" for label in result.top(3))
        self._labels.publish(String(data=text))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    rclpy.init()
    with load(sys.argv[1]) as model:
        node = Classifier(model)
        try:
            rclpy.spin(node)
        finally:
            node.destroy_node()
