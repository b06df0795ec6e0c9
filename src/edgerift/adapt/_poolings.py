"""Poolings in the spelling that the quantizers have rules for, where it means the same at the model's image size."""

from __future__ import annotations

import operator
from typing import Any, Final

import torch
from torch import fx

from edgerift.adapt._nodes import arguments_of, call, calls, replace, replace_by_depthwise

_ATEN: Final = torch.ops.aten
_WINDOWED: Final = (_ATEN.avg_pool2d.default, _ATEN.max_pool2d.default)


def spell_means_as_poolings(module: fx.GraphModule) -> None:
    """Write a mean over height and width as a pooling to one pixel."""
    for node in calls(module, _ATEN.mean.dim):
        values = arguments_of(node)
        source: Any = values["self"]
        given = source.meta["val"]
        if given.dim() != 4 or values["dim"] is None or sorted(axis % 4 for axis in values["dim"]) != [2, 3]:
            continue
        if values["dtype"] not in (None, given.dtype):
            continue
        with module.graph.inserting_before(node):
            pooled = module.graph.call_function(_ATEN.adaptive_avg_pool2d.default, (source, [1, 1]))
            pooled.meta = {**node.meta, "val": given.mean((2, 3), keepdim=True)}
            result = pooled
            if not values["keepdim"]:
                result = module.graph.call_function(_ATEN.flatten.using_ints, (pooled, 1))
                result.meta = dict(node.meta)
        replace(module, node, result)


def spell_poolings_plainly(module: fx.GraphModule) -> None:
    """Give windows one number per axis, drop a `ceil_mode` that changes nothing, and name adaptive maxima."""
    for node in calls(module, _ATEN.adaptive_max_pool2d.default):
        _spell_adaptive_maximum(module, node)
    for node in calls(module, *_WINDOWED):
        values = arguments_of(node)
        for name in ("kernel_size", "stride", "padding", "dilation"):
            if values.get(name):
                values[name] = (list(values[name]) * 2)[:2]
        values["stride"] = values["stride"] or values["kernel_size"]
        values["ceil_mode"] = values["ceil_mode"] and not _divides_evenly(values)
        node.args, node.kwargs = tuple(values.values()), {}


def _divides_evenly(values: dict[str, Any]) -> bool:
    """Return whether the last window ends with the padded image, so that `ceil_mode` changes nothing."""
    reach = [
        (window - 1) * step
        for window, step in zip(values["kernel_size"], values.get("dilation") or [1, 1], strict=True)
    ]
    extents = values["self"].meta["val"].shape[-2:]
    return all(
        (int(extent) + 2 * padding - covered - 1) % stride == 0
        for extent, padding, covered, stride in zip(extents, values["padding"], reach, values["stride"], strict=True)
    )


def _spell_adaptive_maximum(module: fx.GraphModule, node: fx.Node) -> None:
    values = arguments_of(node)
    source = values["self"]
    windows = [
        divmod(int(extent), wanted)
        for extent, wanted in zip(source.meta["val"].shape[-2:], values["output_size"], strict=True)
    ]
    picked = [user for user in node.users if user.target is operator.getitem and user.args[1] == 0]
    if any(rest for _, rest in windows) or any(user not in picked and user.users for user in node.users):
        return
    window = [extent for extent, _ in windows]
    with module.graph.inserting_before(node):
        arguments = (source, window, window)
        pooled = call(module, _ATEN.max_pool2d.default, arguments, torch.nn.functional.max_pool2d, node)
    for user in picked:
        replace(module, user, pooled)
    module.graph.eliminate_dead_code()


def turn_poolings_into_convolutions(module: fx.GraphModule) -> None:
    """Write an average pooling whose windows all lie in the image as a depthwise convolution with equal weights."""
    for node in calls(module, _ATEN.avg_pool2d.default):
        _turn_into_convolution(module, node)


def turn_odd_divisors_into_convolutions(module: fx.GraphModule) -> None:
    """Do the same only where a pooling's divisor is not its window's size, which ONNX cannot express."""
    for node in calls(module, _ATEN.avg_pool2d.default):
        if arguments_of(node)["divisor_override"]:
            _turn_into_convolution(module, node)


def _turn_into_convolution(module: fx.GraphModule, node: fx.Node) -> None:
    values = arguments_of(node)
    if values["padding"] != [0, 0] or values["ceil_mode"]:
        return  # Windows that reach over the border may have another divisor than the others.
    height, width = values["kernel_size"]
    share = 1 / (values["divisor_override"] or height * width)
    weight = torch.full((node.meta["val"].shape[1], 1, height, width), share)
    # A buffer, not a parameter: a pooling does not learn.
    module.register_buffer(f"{node.name}_weight", weight)
    replace_by_depthwise(module, node, values["stride"], weight, None)
