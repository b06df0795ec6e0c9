"""How fine the grids of a program may be: as fine as the values need, within the limits of the runtimes' arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import torch
from torch import Tensor, fx

from edgerift.adapt._nodes import LAYERS, attribute

#: The finest grid: below it the products of scales leave the range that XNNPACK's arithmetic supports.
_FINEST: Final = 2.0**-24
#: XNNPACK multiplies sums by less than 2^8; this leaves room for ranges that the observers cut.
_LARGEST_FACTOR: Final = 2.0**4
#: XNNPACK adds inputs whose scale is at least 2^-10 of the sum's.
_LEAST_SHARE: Final = 2.0**-9
#: Where a bias stays below this many units of its sums it fits in int32, and float32 counts the sums exactly.
_LARGEST_BIAS: Final = 2.0**20


def lower_floors(prepared: fx.GraphModule) -> None:
    """Let the observers of a calibrated graph choose scales below the quantizers' floor of 2^-12.

    A layer whose weights or results are all small would otherwise be left with a handful of levels. The
    floor stays where a finer grid would break a kernel's arithmetic: a layer's result has to be coarse enough for the
    factor of its sums, an addend for its sum, a weight for its bias in int32.
    """
    floors: dict[Any, float] = {}
    for node in prepared.graph.nodes:
        for observed, floor in _demands(prepared, node):
            floors[observed] = max(floors.get(observed, _FINEST), floor)
    for node in prepared.graph.nodes:
        observer = observer_of(prepared, node)
        if observer is not None and not _is_per_channel(observer):
            _set_floor(observer, torch.tensor([floors.get(observer, _FINEST)]))
    for node in prepared.graph.nodes:
        weights = observer_of(prepared, node.args[1]) if _is_layer(node) else None
        if weights is not None and _is_per_channel(weights):
            _set_floor(weights, _weight_floor(prepared, node, weights))


def _set_floor(observer: Any, floor: Tensor) -> None:
    # Never coarser than the quantizer's own floor.
    observer.eps = torch.minimum(floor.to(observer.eps), observer.eps)


def _demands(prepared: fx.GraphModule, node: fx.Node) -> Iterator[tuple[Any, float]]:
    """Return lower bounds on the scales of the grids around an operator."""
    results = [observer for observer in _readers(prepared, node) if observer is not None]
    if node.op != "call_function" or not results:
        return
    inputs = [observer for value in node.args if (observer := observer_of(prepared, value)) is not None]
    if node.target is torch.ops.aten.add.Tensor:
        yield from ((observer, _scale(result) * _LEAST_SHARE) for observer in inputs for result in results)
    elif len(inputs) == 2 and (_is_layer(node) or node.target is torch.ops.aten.mul.Tensor):
        product = _scale(inputs[0]) * _scale(inputs[1])
        yield from ((result, product / _LARGEST_FACTOR) for result in results)


def _weight_floor(prepared: fx.GraphModule, layer: fx.Node, weights: Any) -> Tensor:
    floor = torch.full_like(weights.max_val, _FINEST)
    source, bias = observer_of(prepared, layer.args[0]), layer.args[2] if len(layer.args) > 2 else None
    if source is None or not isinstance(bias, fx.Node) or bias.op != "get_attr":
        return floor
    unit = max(_scale(source), float(source.eps))
    return torch.maximum(floor, attribute(prepared, str(bias.target)).abs() / (unit * _LARGEST_BIAS))


def _readers(prepared: fx.GraphModule, node: fx.Node) -> Iterator[Any]:
    """The observers of an operator's result, also behind an activation."""
    for user in node.users:
        if user.op == "call_function" and user.target in (torch.ops.aten.relu.default, torch.ops.aten.hardtanh.default):
            yield from (observer_of(prepared, reader) for reader in user.users)
        yield observer_of(prepared, user)


def observer_of(prepared: fx.GraphModule, node: Any) -> Any:
    """Fetch the observer that a node calls; None for another node."""
    if not isinstance(node, fx.Node) or node.op != "call_module":
        return None
    module = prepared.get_submodule(str(node.target))
    return module if hasattr(module, "calculate_qparams") and hasattr(module, "eps") else None


def _is_layer(node: fx.Node) -> bool:
    return node.op == "call_function" and node.target in LAYERS


def _is_per_channel(observer: Any) -> bool:
    return hasattr(observer, "ch_axis")


def _scale(observer: Any) -> float:
    """The scale over the full range that an observer has seen, for the coarsest channel; its own may be finer."""
    least, greatest = observer.min_val, observer.max_val
    if not least.numel() or not bool(torch.isfinite(least).all() and torch.isfinite(greatest).all()):
        return 0.0
    levels = float(observer.quant_max - observer.quant_min)
    if _is_per_channel(observer):
        return float(torch.maximum(-least, greatest).amax()) * 2 / levels
    return (max(float(greatest), 0.0) - min(float(least), 0.0)) / levels
