"""The layers of a `.tflite` file as it stores them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from edgerift.deploy.program._stored_layers import StoredLayer, along, kind_ends, step_of
from edgerift.deploy.twins.tflite._graph import TfliteGraph, TfliteOperator, TfliteTensor
from edgerift.deploy.twins.tflite._reading import read_graph

#: How a stored weight becomes `[C_out,C_in/groups,H,W]`, by operator.
_ORDERS: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "CONV_2D": lambda stored: stored.permute(0, 3, 1, 2),
    "DEPTHWISE_CONV_2D": lambda stored: stored.permute(3, 0, 1, 2),
    "FULLY_CONNECTED": lambda stored: stored,
}


def tflite_layers(content: bytes) -> tuple[StoredLayer, ...]:
    """Read the convolutions and linear layers of a file whose weights are constants, in its order.

    Raises :class:`~edgerift.errors.ModelError` for a file that cannot be read.
    """
    return graph_layers(read_graph(content))


def graph_layers(graph: TfliteGraph) -> tuple[StoredLayer, ...]:
    """Read the convolutions and linear layers of a graph whose weights are constants, in its order."""
    return tuple(found for operator in graph.operators if (found := _layer(graph, operator)) is not None)


def _layer(graph: TfliteGraph, operator: TfliteOperator) -> StoredLayer | None:
    if operator.name not in _ORDERS or not operator.has(1):
        return None
    order = _ORDERS[operator.name]
    weight = _dequantized(graph, operator.inputs[1])
    if weight.data is None:
        return None
    given = graph.tensors[operator.inputs[0]].scales
    input_scale = None if given is None or len(given.scales) != 1 else given.scales[0]
    name = weight.name or str(operator)
    if weight.scales is None or weight.data.is_floating_point():
        bias, _ = _bias(graph, operator, None, input_scale)
        return StoredLayer(name, order(weight.data.double()).contiguous(), None, None, 0, 0, bias, None, input_scale)
    scale = along(torch.tensor(weight.scales.scales, dtype=torch.float64), weight.scales.axis, weight.data.dim())
    zero = along(torch.tensor(weight.scales.zero_points), weight.scales.axis, weight.data.dim())
    bias, step = _bias(graph, operator, order(scale), input_scale)
    codes = order(weight.data.long()).contiguous()
    return StoredLayer(name, codes, order(scale), order(zero), *kind_ends(weight.data), bias, step, input_scale)


def _dequantized(graph: TfliteGraph, index: int) -> TfliteTensor:
    """Describe a weight, or the integers that an operator turns into it."""
    maker = next((entry for entry in graph.operators if index in entry.outputs and entry.name == "DEQUANTIZE"), None)
    return graph.tensors[index if maker is None else maker.inputs[0]]


def _bias(
    graph: TfliteGraph, operator: TfliteOperator, scale: Tensor | None, input_scale: float | None
) -> tuple[Tensor | None, Tensor | None]:
    if not operator.has(2):
        return None, None
    described: TfliteTensor = graph.tensors[operator.inputs[2]]
    if described.data is None:
        return None, None
    values = described.data.flatten()
    if values.is_floating_point() or scale is None or input_scale is None:
        return values.double(), None
    step = step_of(scale, input_scale, len(values))
    return values.double() * step, step
