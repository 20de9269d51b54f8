"""Accuracies that others state for networks whose weights are not here, each with its source."""

from __future__ import annotations

from edgecnn.zoo.spec import Published

_VALIDATION = "ImageNet-1k validation"
_LITE = f"github.com/tensorflow/tpu, efficientnet/lite/README.md, {_VALIDATION}"
_V1 = f"github.com/tensorflow/models, research/slim/nets/mobilenet_v1.md, {_VALIDATION}"
_V2 = f"github.com/tensorflow/models, research/slim/nets/mobilenet/README.md, {_VALIDATION}"
_KERAS = f"github.com/keras-team/keras-applications, xception.py, {_VALIDATION}"
_VGG = f"the paper's table 3 (one scale, all places), {_VALIDATION}"
_RESNET = f"the paper's table 2 (10 crops), {_VALIDATION}"
_DENSENET = "DenseNet's paper, table 2 (drop-path, dropout, augmented), CIFAR-10 test"

_PUBLISHED = {
    "vgg11_lrn": Published(70.3, 89.5, _VGG),
    "vgg16_c": Published(71.9, 90.6, _VGG),
    "plain34": Published(71.46, None, _RESNET),
    "fractalnet": Published(95.40, None, _DENSENET),
    "xception": Published(79.0, 94.5, _KERAS),
    "efficientnet_lite3": Published(79.8, None, _LITE),
    "efficientnet_lite4": Published(81.5, None, _LITE),
    "mobilenetv1": Published(70.9, 89.9, _V1),
    "mobilenetv1_1.0_192": Published(70.0, 89.2, _V1),
    "mobilenetv1_1.0_160": Published(68.0, 87.7, _V1),
    "mobilenetv1_1.0_128": Published(65.2, 85.8, _V1),
    "mobilenetv1_0.75": Published(68.4, 88.2, _V1),
    "mobilenetv1_0.75_192": Published(67.2, 87.3, _V1),
    "mobilenetv1_0.75_160": Published(65.3, 86.0, _V1),
    "mobilenetv1_0.75_128": Published(62.1, 83.9, _V1),
    "mobilenetv1_0.5": Published(63.3, 84.9, _V1),
    "mobilenetv1_0.5_192": Published(61.7, 83.6, _V1),
    "mobilenetv1_0.5_160": Published(59.1, 81.9, _V1),
    "mobilenetv1_0.5_128": Published(56.3, 79.4, _V1),
    "mobilenetv1_0.25": Published(49.8, 74.2, _V1),
    "mobilenetv1_0.25_192": Published(47.7, 72.3, _V1),
    "mobilenetv1_0.25_160": Published(45.5, 70.3, _V1),
    "mobilenetv1_0.25_128": Published(41.5, 66.3, _V1),
    "mobilenetv2_1.4": Published(75.0, 92.5, _V2),
    "mobilenetv2_1.3": Published(74.4, 92.1, _V2),
    "mobilenetv2_0.75": Published(69.8, 89.6, _V2),
    "mobilenetv2_0.5": Published(65.4, 86.4, _V2),
    "mobilenetv2_0.35": Published(60.3, 82.9, _V2),
}


def published_accuracy(name: str) -> Published | None:
    """What others state for the network of that canonical name, or None."""
    return _PUBLISHED.get(name)
