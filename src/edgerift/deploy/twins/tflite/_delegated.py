"""Which operators LiteRT's default delegate, XNNPACK, takes; all others run in the optimised kernels.

Only operators on 8-bit integers are told apart: float ones answer alike but for the last bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from edgerift.deploy.twins.tflite._builder import Kernels
from edgerift.deploy.twins.tflite._graph import TfliteGraph, TfliteOperator, TfliteTensor

#: Operators that it leaves to other kernels where they compute on integers.
_LEFT: Final = (
    "AVERAGE_POOL_2D",
    "SOFTMAX",
    "HARD_SWISH",
    "PRELU",
    "RELU",
    "RELU6",
    "RELU_N1_TO_1",
    "RESIZE_NEAREST_NEIGHBOR",
)


def kernels_of(graph: TfliteGraph, operator: TfliteOperator) -> Kernels:
    """Name the kernels that compute an operator by default."""
    tensors = [graph.tensors[index] for index in operator.inputs if index >= 0]
    results = [graph.tensors[index] for index in operator.outputs]
    if operator.name in _LEFT:
        return "builtin"
    fits = _CONDITIONS.get(operator.name)
    return "default" if fits is None or fits(operator, tensors, results) else "builtin"


def _ratio(first: TfliteTensor, second: TfliteTensor) -> float:
    """The ratio of two scales in float32; 1 where one has none."""
    if first.scales is None or second.scales is None:
        return 1.0
    return float(np.float32(first.scales.scales[0]) / np.float32(second.scales.scales[0]))


def _convolves(operator: TfliteOperator, tensors: list[TfliteTensor], results: list[TfliteTensor]) -> bool:
    if len(tensors) < 3:
        return False
    given, weight = tensors[0], tensors[1]
    return given.dtype != "uint8" or (weight.scales is not None and weight.scales.axis == 0)


def _connects(operator: TfliteOperator, tensors: list[TfliteTensor], results: list[TfliteTensor]) -> bool:
    weight = tensors[1].scales
    return tensors[0].dtype != "int8" or weight is None or weight.zero_points[0] == 0


def _sums(operator: TfliteOperator, tensors: list[TfliteTensor], results: list[TfliteTensor]) -> bool:
    return all(2.0**-10 <= _ratio(tensor, results[0]) < 2.0**8 for tensor in tensors)


def _multiplies(operator: TfliteOperator, tensors: list[TfliteTensor], results: list[TfliteTensor]) -> bool:
    scales = [tensor.scales for tensor in (*tensors[:2], results[0])]
    if any(scale is None for scale in scales):
        return True
    one, two, last = (np.float32(scale.scales[0]) for scale in scales if scale is not None)
    return 2.0**-16 <= float(one * two / last) < 2.0**8


def _leaks(operator: TfliteOperator, tensors: list[TfliteTensor], results: list[TfliteTensor]) -> bool:
    positive = _ratio(tensors[0], results[0])
    negative = float(np.float32(positive) * np.float32(operator.options.get("Alpha", 0.0)))
    fits = 2.0**-8 <= positive <= 2.0**7 and -127.99609375 <= negative <= 2.0**7
    return fits and abs(negative) >= 2.0**-8


def _quantizes(operator: TfliteOperator, tensors: list[TfliteTensor], results: list[TfliteTensor]) -> bool:
    if tensors[0].dtype == "float32":
        return True
    return tensors[0].dtype == results[0].dtype and 2.0**-8 <= _ratio(tensors[0], results[0]) <= 2.0**7


_CONDITIONS: Final[dict[str, Callable[[TfliteOperator, list[TfliteTensor], list[TfliteTensor]], bool]]] = {
    "CONV_2D": _convolves,
    "DEPTHWISE_CONV_2D": _convolves,
    "FULLY_CONNECTED": _connects,
    "ADD": _sums,
    "SUB": _sums,
    "MUL": _multiplies,
    "LEAKY_RELU": _leaks,
    "QUANTIZE": _quantizes,
}
