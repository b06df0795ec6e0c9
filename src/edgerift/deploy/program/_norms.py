"""Layer and group normalisations written so that every runtime computes the same bits.

Both the sum and the sum of squares of whole multiples of one number are exact in float32 in any order, while they stay
below 2^24 of its (squared) units; more squares are summed in two parts. All else is one rounding for each operator.
With `n` values, `y = (n x - sum) / sqrt(n sum of squares - sum^2 + n^2 eps)`: `(x - mean) / sqrt(variance + eps)`.
"""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import fx

from edgerift.deploy.program._grid import grid_of, is_dequantize
from edgerift.deploy.program._operators import operator_name

LAYER_NORM: Final = "aten.layer_norm.default"
GROUP_NORM: Final = "aten.group_norm.default"
NORMS: Final = frozenset({LAYER_NORM, GROUP_NORM})
_RESHAPE: Final = "aten.reshape.default"
_ATEN: Final = torch.ops.aten
#: The squares of this many levels of 8 bits stay below 2^24, whatever they are.
_FEW: Final = 2**24 // 255**2


def spell_norm(module: fx.GraphModule, node: fx.Node) -> None:
    """Replace a layer or group normalisation by sums, products and a square root."""
    names = ("input", "extent", "weight", "bias", "eps")
    values: dict[str, Any] = {"weight": None, "bias": None, "eps": 1e-5} | dict(zip(names, node.args, strict=False))
    source: Any = values["input"]
    shape = source.meta["tensor_meta"].shape
    with module.graph.inserting_before(node):
        if operator_name(node.target) == LAYER_NORM:
            axes = list(range(-len(values["extent"]), 0))
            result = _normalised(node, source, axes, math.prod(values["extent"]), values["eps"])
            spread: list[int] = []
        else:
            groups = int(values["extent"])
            grouped = _call(node, _ATEN.reshape.default, source, [-1, groups, math.prod(shape[1:]) // groups])
            result = _normalised(node, grouped, [-1], math.prod(shape[1:]) // groups, values["eps"])
            result = _call(node, _ATEN.reshape.default, result, [-1, *shape[1:]])
            spread = [-1] + [1] * (len(shape) - 2)
        for function, factor in ((_ATEN.mul.Tensor, values["weight"]), (_ATEN.add.Tensor, values["bias"])):
            if factor is not None:
                shaped = _shaped(module, node, factor, spread) if spread else factor
                result = _call(node, function, result, shaped)
    result.meta = dict(node.meta)
    node.replace_all_uses_with(result)
    module.graph.erase_node(node)


def _normalised(node: fx.Node, source: fx.Node, axes: list[int], count: int, eps: float) -> fx.Node:
    total = _call(node, _ATEN.sum.dim_IntList, source, axes, True)
    squares = _sum_of_squares(node, source, axes, count)
    spread = _call(node, _ATEN.mul.Tensor, squares, float(count))
    spread = _call(node, _ATEN.sub.Tensor, spread, _call(node, _ATEN.mul.Tensor, total, total))
    # Of almost equal values, the rounding of the two products may be larger than their difference.
    spread = _call(node, _ATEN.add.Tensor, _call(node, _ATEN.relu.default, spread), eps * count**2)
    deviation = _call(node, _ATEN.sqrt.default, spread)
    centred = _call(node, _ATEN.sub.Tensor, _call(node, _ATEN.mul.Tensor, source, float(count)), total)
    return _call(node, _ATEN.div.Tensor, centred, deviation)


def _sum_of_squares(node: fx.Node, source: fx.Node, axes: list[int], count: int) -> fx.Node:
    """Sum squares; those of many numbers in two parts, of which each stays below 2^24 units."""
    square = _call(node, _ATEN.mul.Tensor, source, source)
    unit = _unit_of(source)
    if count <= _FEW or unit is None:
        return _call(node, _ATEN.sum.dim_IntList, square, axes, True)
    part = unit**2 * 2.0**8
    high = _call(node, _ATEN.floor.default, _call(node, _ATEN.mul.Tensor, square, 1 / part))
    low = _call(node, _ATEN.sub.Tensor, square, _call(node, _ATEN.mul.Tensor, high, part))
    highs, lows = (_call(node, _ATEN.sum.dim_IntList, values, axes, True) for values in (high, low))
    return _call(node, _ATEN.add.Tensor, _call(node, _ATEN.mul.Tensor, highs, part), lows)


def _unit_of(source: fx.Node) -> float | None:
    """The scale of the grid that values lie on, if it is a power of two."""
    while operator_name(source.target) == _RESHAPE:
        source = source.args[0]  # type: ignore[assignment]
    scale = grid_of(source).scale if is_dequantize(source) else 0.0
    return scale if scale and math.frexp(scale)[0] == 0.5 else None


def _call(node: fx.Node, function: Any, *arguments: Any) -> fx.Node:
    return node.graph.call_function(function, arguments)


def _shaped(module: fx.GraphModule, node: fx.Node, factor: fx.Node, shape: list[int]) -> fx.Node:
    name = f"{node.name}_{factor.name}"
    module.register_buffer(name, module.get_buffer(str(factor.target)).view(shape))
    return module.graph.get_attr(name)
