"""Batch normalisations folded into the layers before them, or written as layers of their own."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, fx, nn

from edgerift.adapt._nodes import (
    LAYERS,
    arguments_of,
    attribute,
    calls,
    constant,
    replace,
    replace_by_depthwise,
    set_attribute,
)
from edgerift.deploy import Normalisation

#: Where a graph's `meta` has the normalisations that were folded into its layers, by the names of their weights.
FOLDED: Final = "folded normalisations"

_ATEN: Final = torch.ops.aten
_FUNCTIONS: Final[dict[Any, Any]] = {
    _ATEN.conv1d.default: torch.nn.functional.conv1d,
    _ATEN.linear.default: torch.nn.functional.linear,
}


def fold_normalisations(module: fx.GraphModule) -> None:
    """Fold each batch normalisation into the layer that it alone reads; write another one of images as a layer.

    A layer of vectors that others read too is copied for its normalisation. A normalisation that follows the batch
    stays, and so does one of vectors that follows no layer.
    """
    for node in calls(module, _ATEN.batch_norm.default):
        values = arguments_of(node)
        if values["training"] or values["running_mean"] is None or values["running_var"] is None:
            continue
        source: Any = values["input"]
        is_shared = len(source.users) > 1
        if node.meta["val"].dim() == 4 and (is_shared or not _takes_a_normalisation(source)):
            _replace_normalisation(module, node, values)
        elif _takes_a_normalisation(source):
            _fold(module, _copied(module, source, node) if is_shared else source, node, values)


def _takes_a_normalisation(layer: fx.Node) -> bool:
    if layer.op != "call_function" or layer.target not in LAYERS:
        return False
    if layer.target is _ATEN.linear.default and layer.meta["val"].dim() != 2:
        return False  # A linear layer computes along the last axis, a normalisation along the second.
    values = arguments_of(layer)
    return all(values[kind] is None or values[kind].op == "get_attr" for kind in ("weight", "bias"))


def _copied(module: fx.GraphModule, layer: fx.Node, node: fx.Node) -> fx.Node:
    """Give a normalisation a layer of its own; its weight and bias are registered as `NODE_weight` and `NODE_bias`."""
    target: Any = layer.target
    values = arguments_of(layer)
    with module.graph.inserting_before(node):
        for kind in ("weight", "bias"):
            if values[kind] is not None:
                own = attribute(module, str(values[kind].target)).clone()
                module.register_parameter(f"{node.name}_{kind}", nn.Parameter(own, requires_grad=False))
                values[kind] = constant(module, f"{node.name}_{kind}", node)
        copied = module.graph.call_function(target, tuple(values.values()))
    copied.meta = {**layer.meta, "source_fn_stack": [(copied.name, _FUNCTIONS[target])]}
    return copied


class _Figures:
    """The per-channel parameters of a batch normalisation, each `[C]`; weights of 1 and biases of 0 if it has none."""

    def __init__(self, module: fx.GraphModule, values: dict[str, Any]) -> None:
        self.mean, self.variance = (attribute(module, values[name].target) for name in ("running_mean", "running_var"))
        self.weight = _or_filled(module, values["weight"], torch.ones_like(self.mean))
        self.bias = _or_filled(module, values["bias"], torch.zeros_like(self.mean))
        self.eps = float(values["eps"])


def _or_filled(module: fx.GraphModule, node: fx.Node | None, filled: Tensor) -> Tensor:
    return filled if node is None else attribute(module, str(node.target))


def _fold(module: fx.GraphModule, layer: fx.Node, node: fx.Node, values: dict[str, Any]) -> None:
    given = arguments_of(layer)
    figures = _Figures(module, values)
    _remember(module, str(given["weight"].target), given, figures)
    bias = None if given["bias"] is None else attribute(module, str(given["bias"].target))
    tensors = (attribute(module, str(given["weight"].target)), bias, figures.mean, figures.variance, figures.eps)
    is_linear = layer.target is _ATEN.linear.default
    fuse: Any = nn.utils.fuse_linear_bn_weights if is_linear else nn.utils.fuse_conv_bn_weights
    weight, shift = fuse(*tensors, figures.weight, figures.bias)
    set_attribute(module, str(given["weight"].target), weight)
    if given["bias"] is not None:
        set_attribute(module, str(given["bias"].target), shift)
    else:
        name = f"{layer.name}_bias"
        module.register_parameter(name, nn.Parameter(shift.detach().clone(), requires_grad=False))
        with module.graph.inserting_before(layer):
            given["bias"] = constant(module, name, node)
        layer.args, layer.kwargs = tuple(given.values()), {}
    replace(module, node, layer)


def _remember(module: fx.GraphModule, weight: str, given: dict[str, Any], figures: _Figures) -> None:
    """Keep a normalisation that is folded, for a training in which it lives on; a layer with two has none."""
    found: dict[str, Normalisation | None] = module.meta.setdefault(FOLDED, {})
    shift = torch.zeros_like(figures.mean)
    if given["bias"] is not None:
        shift = attribute(module, str(given["bias"].target)).detach().clone()
    found[weight] = (
        None
        if weight in found
        else Normalisation(
            figures.weight.detach().clone(),
            figures.bias.detach().clone(),
            figures.mean.detach().clone(),
            figures.variance.detach().clone(),
            figures.eps,
            shift,
        )
    )


def _replace_normalisation(module: fx.GraphModule, node: fx.Node, values: dict[str, Any]) -> None:
    figures = _Figures(module, values)
    slope = figures.weight / torch.sqrt(figures.variance + figures.eps)
    tensors = slope.view(-1, 1, 1, 1), figures.bias - figures.mean * slope
    for kind, value in zip(("weight", "bias"), tensors, strict=True):
        module.register_parameter(f"{node.name}_{kind}", nn.Parameter(value.detach().clone(), requires_grad=False))
    replace_by_depthwise(module, node, [1, 1], *tensors)
