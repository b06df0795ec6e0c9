"""The patterns that XNNPACK's passes look for, exported only where a graph can hold them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

#: An operator that each pattern of resizing holds, and one that each pattern of attention holds.
RESIZING, ATTENTION = "aten.upsample_bilinear2d.vec", "aten._softmax.default"


@contextlib.contextmanager
def possible_patterns() -> Iterator[None]:
    """Spare XNNPACK's passes the patterns that their graphs cannot hold, as an operator of the pattern is missing.

    Each process exports them anew otherwise, which takes seconds. Results are the same.
    """
    from executorch.backends.xnnpack._passes.convert_to_sdpa import ConvertToSDPAPass
    from executorch.backends.xnnpack._passes.convert_to_upsample_bilinear2d import ConvertToUpsampleBilinear2d
    from executorch.backends.xnnpack.partition.graphs import bilinear_2d, sdpa

    resizing = _sparing(ConvertToUpsampleBilinear2d.call, RESIZING, lambda: _none(bilinear_2d, "get_graphs_dict", {}))
    attention = _sparing(ConvertToSDPAPass.call, ATTENTION, lambda: _none(sdpa, "get_graphs", []))
    with (
        mock.patch.object(ConvertToUpsampleBilinear2d, "call", resizing),
        mock.patch.object(ConvertToSDPAPass, "call", attention),
    ):
        yield


def _sparing(call: Any, operator: str, without: Callable[[], Any]) -> Any:
    """Make a pass's `call` that has no patterns where no node of the graph calls the operator."""

    def spared(self: Any, graph_module: Any) -> Any:
        if any(_name(node.target) == operator for node in graph_module.graph.nodes):
            return call(self, graph_module)
        with without():
            return call(self, graph_module)

    return spared


def _none(module: object, function: str, nothing: Any) -> Any:
    return mock.patch.object(module, function, return_value=nothing)


def _name(target: Any) -> str:
    """Name an operator as ExecuTorch's edge dialect and ATen both do."""
    return str(getattr(target, "_op", target))
