"""Scales on which all runtimes round alike: powers of two before sums, and no level of a function at a tie."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

import torch
from torch import Tensor, fx

from edgerift.adapt._reductions import FUNCTIONS, PRODUCT, is_below_most, summed_inputs
from edgerift.adapt._scales import observer_of
from edgerift.deploy import is_moving, operator_name

#: How much of the top level a power of two may cut off, as that of `exp` in [0, 1] does on 256 levels.
_CUT: Final = 255 / 256
#: The least distance of a function's value from a tie, in levels: runtimes' exponentials are apart by less.
_MARGIN: Final = 2.0**-10
#: By how much a scale may grow to keep that distance, in this many steps.
_GROWTH, _STEPS = 2.0**-11, 48


def settle_scales(prepared: fx.GraphModule) -> None:
    """Fix the scales of a calibrated graph's observers where runtimes would round differently.

    What is summed gets a power of two as its scale. The scale of a smooth function's result grows by up to 2.5 % until
    none of its 256 values lies within 2^-10 levels of a tie.
    """
    summed = {observer for node in prepared.graph.nodes for observer in _observers(prepared, summed_inputs(node))}
    # A runtime may round a matrix product's whole numbers by one factor, or in two steps: both are exact then.
    products = (node for node in prepared.graph.nodes if node.target is PRODUCT)
    summed |= {observer for node in products for observer in _observers(prepared, _readers(node))}
    for observer in summed:
        _fix(observer, *_power_of_two(observer))
    for node in prepared.graph.nodes:
        values = _values(prepared, node)
        if values is None:
            continue
        for observer in _observers(prepared, _readers(node)):
            if observer not in summed:
                _fix(observer, *_off_ties(observer, values))


def _observers(prepared: fx.GraphModule, nodes: Any) -> Iterator[Any]:
    for node in nodes:
        observer = observer_of(prepared, node)
        if observer is not None:
            yield observer


def _readers(node: fx.Node) -> Iterator[fx.Node]:
    """The readers of a value, also of its parts and in other shapes."""
    for user in node.users:
        yield user
        if user.op == "call_function" and is_moving(operator_name(user.target)):
            yield from _readers(user)


def _grid_of(observer: Any) -> tuple[Tensor, Tensor]:
    """Compute an observer's scale and zero point once: that takes a search over its histogram."""
    scale, zero_point = observer.calculate_qparams()
    _fix(observer, scale, zero_point)
    return scale, zero_point


def _fix(observer: Any, scale: Tensor, zero_point: Tensor) -> None:
    observer.calculate_qparams = lambda: (scale, zero_point)


def _power_of_two(observer: Any) -> tuple[Tensor, Tensor]:
    scale, zero_point = _grid_of(observer)
    power = torch.full_like(scale, 2.0 ** math.ceil(math.log2(float(scale) * _CUT)))
    return power, _zero_point(observer, scale, zero_point, power)


def _zero_point(observer: Any, scale: Tensor, zero_point: Tensor, wider: Tensor) -> Tensor:
    """Keep the lower end of a range that a wider grid covers."""
    low = (observer.quant_min - zero_point) * scale
    moved = torch.round(observer.quant_min - low / wider)
    return moved.clamp(observer.quant_min, observer.quant_max).to(zero_point)


def _values(prepared: fx.GraphModule, node: fx.Node) -> Tensor | None:
    """All values that a smooth function of a grid can have, float64."""
    if node.op != "call_function" or node.target not in FUNCTIONS:
        return None
    source: Any = node.args[0]
    is_below = is_below_most(source)
    observer = observer_of(prepared, source.args[0] if is_below else source)
    if observer is None:
        return None
    scale, zero_point = _grid_of(observer)
    levels = torch.arange(observer.quant_min, observer.quant_max + 1, dtype=torch.float64)
    levels = levels - (observer.quant_max if is_below else float(zero_point))
    function: Any = node.target
    values: Tensor = function(levels * float(scale), *node.args[1:], **node.kwargs)
    return values


def _off_ties(observer: Any, values: Tensor) -> tuple[Tensor, Tensor]:
    scale, zero_point = _grid_of(observer)
    best, most = (scale, zero_point), -1.0
    for step in range(_STEPS):
        wider = scale * (1 + step * _GROWTH)
        point = _zero_point(observer, scale, zero_point, wider) if step else zero_point
        distance = _distance(observer, values, float(wider), float(point))
        if distance >= _MARGIN:
            return wider, point
        if distance > most:
            best, most = (wider, point), distance
    return best


def _distance(observer: Any, values: Tensor, scale: float, zero_point: float) -> float:
    """The least distance of values from a tie between two levels of a grid, in levels."""
    levels = values / scale + zero_point
    inside = (levels > observer.quant_min - 1) & (levels < observer.quant_max + 1)
    apart = (levels - levels.floor() - 0.5).abs()[inside]
    return float(apart.min()) if apart.numel() else 1.0
