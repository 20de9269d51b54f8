"""Numbers of TFLite's schema that are needed here; they never change.

https://github.com/google-ai-edge/LiteRT/blob/main/tflite/converter/schema/schema.fbs
"""

from __future__ import annotations

from enum import IntEnum

VERSION = 3
IDENTIFIER = b"TFL3"
BUFFER_ALIGN = 16

# NumPy's name of a type -> TensorType.
TENSOR_TYPES = {"float32": 0, "int32": 2, "int64": 4, "int8": 9}


class Op(IntEnum):
    """BuiltinOperator."""

    ADD = 0
    AVERAGE_POOL_2D = 1
    CONCATENATION = 2
    CONV_2D = 3
    DEPTHWISE_CONV_2D = 4
    DEQUANTIZE = 6
    FULLY_CONNECTED = 9
    LOCAL_RESPONSE_NORMALIZATION = 13
    LOGISTIC = 14
    MAX_POOL_2D = 17
    MUL = 18
    RELU = 19
    RELU6 = 21
    RESHAPE = 22
    RESIZE_BILINEAR = 23
    SOFTMAX = 25
    TANH = 28
    PAD = 34
    TRANSPOSE = 39
    MEAN = 40
    SUB = 41
    DIV = 42
    STRIDED_SLICE = 45
    MAXIMUM = 55
    MINIMUM = 57
    PADV2 = 60
    TRANSPOSE_CONV = 67
    SUM = 74
    SQRT = 75
    RESIZE_NEAREST_NEIGHBOR = 97
    LEAKY_RELU = 98
    QUANTIZE = 114
    HARD_SWISH = 117


class Activation(IntEnum):
    """ActivationFunctionType: what an operator does to its output by itself."""

    NONE = 0
    RELU = 1
    RELU6 = 3


class Padding(IntEnum):
    """Padding: SAME is as much as makes the output as large as input / stride."""

    SAME = 0
    VALID = 1


class OptionsType(IntEnum):
    """BuiltinOptions: which table an operator's options are."""

    NONE = 0
    CONV_2D = 1
    DEPTHWISE_CONV_2D = 2
    POOL_2D = 5
    FULLY_CONNECTED = 8
    SOFTMAX = 9
    CONCATENATION = 10
    ADD = 11
    LOCAL_RESPONSE_NORMALIZATION = 13
    RESIZE_BILINEAR = 15
    MUL = 21
    REDUCER = 27
    SUB = 28
    DIV = 29
    STRIDED_SLICE = 32
    TRANSPOSE_CONV = 49
    RESIZE_NEAREST_NEIGHBOR = 74
    LEAKY_RELU = 75
