"""The patterns that XNNPACK's passes look for, exported only where a graph can hold them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

#: An operator that each pattern of resizing holds, and one that each pattern of attention holds.
RESIZING, ATTENTION = "aten.upsample_bilinear2d.vec", "aten._softmax.default"


@contextlib.contextmanager
def possible_patterns() -> Iterator[None]:
    """Spare XNNPACK's passes the patterns that their graphs cannot hold, as an operator of the pattern is missing.

    Each process exports them anew otherwise, which takes seconds. Results are the same. A version of ExecuTorch that
    has these passes elsewhere is left as it is.
    """
    try:
        from executorch.backends.xnnpack._passes.convert_to_sdpa import ConvertToSDPAPass
        from executorch.backends.xnnpack._passes.convert_to_upsample_bilinear2d import ConvertToUpsampleBilinear2d
        from executorch.backends.xnnpack.partition.graphs import bilinear_2d, sdpa
    except ImportError:
        yield
        return

    resizing = _sparing(ConvertToUpsampleBilinear2d.call, RESIZING, lambda: _giving(bilinear_2d, "get_graphs_dict", {}))
    attention = _sparing(ConvertToSDPAPass.call, ATTENTION, lambda: _giving(sdpa, "get_graphs", []))
    with _replaced(ConvertToUpsampleBilinear2d, "call", resizing), _replaced(ConvertToSDPAPass, "call", attention):
        yield


def _sparing(call: Any, operator: str, without: Callable[[], contextlib.AbstractContextManager[None]]) -> Any:
    """Make a pass's `call` that has no patterns where no node of the graph calls the operator."""

    def spared(self: Any, graph_module: Any) -> Any:
        if any(_name(node.target) == operator for node in graph_module.graph.nodes):
            return call(self, graph_module)
        with without():
            return call(self, graph_module)

    return spared


def _giving(module: Any, function: str, nothing: Any) -> contextlib.AbstractContextManager[None]:
    return _replaced(module, function, lambda: nothing)


@contextlib.contextmanager
def _replaced(owner: Any, name: str, new: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, new)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _name(target: Any) -> str:
    """Name an operator as ExecuTorch's edge dialect and ATen both do."""
    return str(getattr(target, "_op", target))
