"""Sums with a number, in the spelling that both targets' quantizers understand."""

from __future__ import annotations

from typing import Final

import torch
from torch import fx

from edgerift.adapt._nodes import arguments_of, call, calls, replace

_ATEN: Final = torch.ops.aten


def spell_sums_with_numbers_as_differences(module: fx.GraphModule) -> None:
    """Write `values + number` as `values - -number`, the same to the bit.

    The quantizer of target `server` assumes that any addend of a layer's result is a tensor.
    """
    for node in calls(module, _ATEN.add.Tensor):
        values = arguments_of(node)
        source, number = values["self"], values["other"]
        if not isinstance(source, fx.Node) or not isinstance(number, float | int):
            continue
        if not source.meta["val"].is_floating_point():
            continue
        with module.graph.inserting_before(node):
            arguments = (source, -values["alpha"] * number)
            difference = call(module, _ATEN.sub.Tensor, arguments, torch.sub, node)
        replace(module, node, difference)
