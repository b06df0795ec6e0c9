"""One spelling for all clamps: a ReLU or a hardtanh, which the quantizers fuse with the layer before it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import torch
from torch import fx

from edgerift.adapt._nodes import arguments_of, attribute, call, replace

_ATEN: Final = torch.ops.aten
_RELU: Final = _ATEN.relu.default
_HARDTANH: Final = _ATEN.hardtanh.default
#: Stands for a missing bound: no activation reaches it, and its level on any grid is finite.
_FAR: Final = 2.0**64
_BY_BOUNDS: Final[Mapping[Any, tuple[str, str]]] = {
    _ATEN.clamp.default: ("min", "max"),
    _ATEN.clip.default: ("min", "max"),
    _ATEN.clamp.Tensor: ("min", "max"),
    _ATEN.clip.Tensor: ("min", "max"),
    _ATEN.clamp_min.default: ("min", ""),
    _ATEN.clamp_max.default: ("", "max"),
    _ATEN.clamp_min.Tensor: ("min", ""),
    _ATEN.clamp_max.Tensor: ("", "max"),
}
_LARGER: Final = (_ATEN.maximum.default, _ATEN.max.other)
_SMALLER: Final = (_ATEN.minimum.default, _ATEN.min.other)
_FILLED: Final = {
    _ATEN.zeros.default: 0.0,
    _ATEN.zeros_like.default: 0.0,
    _ATEN.ones.default: 1.0,
    _ATEN.ones_like.default: 1.0,
}
_FULL: Final = (_ATEN.full.default, _ATEN.full_like.default)
_COPIES: Final = (_ATEN.lift_fresh_copy.default, _ATEN.clone.default)


class _Clamp(NamedTuple):
    """The values of `source`, clamped between two bounds."""

    source: fx.Node
    low: float
    high: float


def spell_clamps_alike(module: fx.GraphModule) -> None:
    """Write every clamp by constants as ReLU or hardtanh, and a clamp of a clamp as one."""
    for node in list(module.graph.nodes):
        found = _clamp(module, node)
        if found is None or node.meta["val"].dtype is not torch.float32:
            continue
        merged = _merged(module, found)
        if merged is found and node.target in (_RELU, _HARDTANH):
            continue
        with module.graph.inserting_before(node):
            spelt = _spelt(module, merged, node)
        replace(module, node, spelt)
    module.graph.eliminate_dead_code()


def _spelt(module: fx.GraphModule, clamp: _Clamp, node: fx.Node) -> fx.Node:
    if clamp.low == 0 and clamp.high == math.inf:
        return call(module, _RELU, (clamp.source,), torch.nn.functional.relu, node)
    bounds = max(clamp.low, -_FAR), min(clamp.high, _FAR)
    return call(module, _HARDTANH, (clamp.source, *bounds), torch.nn.functional.hardtanh, node)


def _merged(module: fx.GraphModule, clamp: _Clamp) -> _Clamp:
    inner = _clamp(module, clamp.source)
    if inner is None or len(clamp.source.users) > 1:
        return clamp
    low, high = (min(max(bound, clamp.low), clamp.high) for bound in inner[1:])
    return _Clamp(inner.source, low, high) if low < high else clamp


def _clamp(module: fx.GraphModule, node: fx.Node) -> _Clamp | None:
    """Read a node as a clamp by constants; None for another operator, computed bounds, or crossed ones."""
    if node.op != "call_function" or not node.args:
        return None
    found = _by_bounds(module, node) if node.target in _BY_BOUNDS else _other(module, node)
    return found if found is not None and found.low < found.high else None


def _by_bounds(module: fx.GraphModule, node: fx.Node) -> _Clamp | None:
    values = arguments_of(node)
    given = [values.get(name) for name in _BY_BOUNDS[node.target]]
    low, high = (
        absent if bound is None else _number(module, bound, node)
        for bound, absent in zip(given, (-math.inf, math.inf), strict=True)
    )
    return None if low is None or high is None else _Clamp(values["self"], low, high)


def _other(module: fx.GraphModule, node: fx.Node) -> _Clamp | None:
    source: Any = node.args[0]
    if node.target is _RELU:
        return _Clamp(source, 0.0, math.inf)
    if node.target is _ATEN.relu6.default:
        return _Clamp(source, 0.0, 6.0)
    if node.target is _HARDTANH:
        values = arguments_of(node)
        return _Clamp(source, float(values["min_val"]), float(values["max_val"]))
    if node.target is _ATEN.threshold.default:
        values = arguments_of(node)
        same = values["threshold"] == values["value"]
        return _Clamp(source, float(values["value"]), math.inf) if same else None
    if node.target in (*_LARGER, *_SMALLER):
        return _extreme(module, node)
    return None


def _extreme(module: fx.GraphModule, node: fx.Node) -> _Clamp | None:
    for source, bound in (node.args, reversed(node.args)):
        number = _number(module, bound, node)
        if number is not None and isinstance(source, fx.Node) and source.meta["val"].shape == node.meta["val"].shape:
            bounds = (number, math.inf) if node.target in _LARGER else (-math.inf, number)
            return _Clamp(source, *bounds)
    return None


def _number(module: fx.GraphModule, value: Any, node: fx.Node) -> float | None:
    """Read a bound that is one number for all values of a node's result; None where it is not."""
    if not isinstance(value, fx.Node):
        return float(value)
    while value.target in _COPIES:
        value = value.args[0]
    if value.target in _FILLED:
        return _FILLED[value.target]
    if value.target in _FULL:
        filling = arguments_of(value)["fill_value"]
        return None if isinstance(filling, fx.Node) else float(filling)
    if value.op != "get_attr" or value.meta["val"].dim() > node.meta["val"].dim():
        return None
    tensor = attribute(module, str(value.target))
    return float(tensor.flatten()[0]) if tensor.numel() and bool((tensor == tensor.flatten()[0]).all()) else None
