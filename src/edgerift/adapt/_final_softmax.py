"""A network up to its logits: a final softmax is removed, which changes no label, posterior or margin."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import fx

_SOFTMAX: Final = torch.ops.aten.softmax.int
_LOG_SOFTMAX: Final = torch.ops.aten.log_softmax.int
_LOGARITHM: Final = torch.ops.aten.log.default
#: Inserted by export before a cast: it fails if a type differs from that of the example.
_CHECK: Final = torch.ops.aten._assert_tensor_metadata.default
_CASTS: Final = (torch.ops.aten.to.dtype, torch.ops.aten._to_copy.default)
_BOUNDS: Final = (
    torch.ops.aten.clamp_min.default,
    torch.ops.aten.clamp.default,
    torch.ops.aten.hardtanh.default,
)
#: A bound below which a probability counts as zero, and not as an answer.
_LARGEST_FLOOR: Final = 1e-6


def leave_out_final_softmax(module: fx.GraphModule) -> None:
    """Make a graph `[N,...]` to `[N,K]` that ends in a softmax over its classes return the softmax's input.

    Softmax, log-softmax and the logarithm of a softmax (with a floor of at most 1e-6) are all removed, since an int8
    grid of probabilities cannot resolve small ones. A softmax of a softmax is kept: removing it would leave
    probabilities that the model does not return.
    """
    output = next(node for node in reversed(module.graph.nodes) if node.op == "output")
    (answers,) = output.args
    last: Any = answers[0] if isinstance(answers, list | tuple) and len(answers) == 1 else answers
    if not isinstance(last, fx.Node):
        return
    logits = _logits_behind(_uncast(last))
    if logits is None or _is_over_classes(logits, _SOFTMAX, _LOG_SOFTMAX):
        return
    output.replace_input_with(last, logits)
    for node in list(module.graph.nodes):
        if node.target is _CHECK and node > logits and node.args[0] is not logits:
            module.graph.erase_node(node)
    module.graph.eliminate_dead_code()


def _logits_behind(last: fx.Node) -> fx.Node | None:
    """Find the input of a graph's final softmax."""
    if _is_over_classes(last, _SOFTMAX, _LOG_SOFTMAX):
        return _source(last)
    if last.target is not _LOGARITHM:
        return None
    probabilities = _source(last)
    if probabilities is not None and _has_small_floor(probabilities):
        probabilities = _source(probabilities)
    if probabilities is None or not _is_over_classes(probabilities, _SOFTMAX):
        return None
    return _source(probabilities)


def _source(node: fx.Node) -> fx.Node | None:
    source = node.args[0]
    return _uncast(source) if isinstance(source, fx.Node) else None


def _uncast(node: fx.Node) -> fx.Node:
    """Skip casts that change no type."""
    while node.target in _CASTS:
        before = node.args[0]
        if not isinstance(before, fx.Node) or before.meta["val"].dtype != node.meta["val"].dtype:
            break
        node = before
    return node


def _is_over_classes(node: fx.Node, *operators: Any) -> bool:
    return node.target in operators and node.meta["val"].dim() == 2 and node.args[1] in (1, -1)


def _has_small_floor(node: fx.Node) -> bool:
    """Return whether a node only keeps probabilities away from zero."""
    given = (*node.args, *node.kwargs.values())[1:]
    bounds = [bound for bound in given if isinstance(bound, float | int)]
    if node.target not in _BOUNDS or not bounds or len(bounds) < len(given):
        return False
    floor, *highest = bounds
    return 0 <= floor <= _LARGEST_FLOOR and all(bound >= 1 for bound in highest)
