"""Graphs without writes in place, without operators that do nothing, and with weights of its own for each layer."""

from __future__ import annotations

import sys
from typing import Any, Final

import torch
from torch import fx, nn

from edgerift.adapt._nodes import LAYERS, arguments_of, attribute, calls, replace

_DROPOUTS: Final = tuple(
    getattr(torch.ops.aten, f"{kind}{write}").default
    for kind in ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
    for write in ("", "_")
)
_SAME_VALUE: Final = (torch.ops.aten.alias.default, torch.ops.aten.detach.default, torch.ops.aten.detach_.default)


def drop_dropouts(module: fx.GraphModule) -> None:
    """Remove active dropout too, for quantization-aware training, which has noise of its own."""
    for node in calls(module, *_DROPOUTS):
        replace(module, node, node.args[0])


def drop_what_does_nothing(module: fx.GraphModule) -> None:
    """Remove no-ops: full views, casts to the same type, dropout in evaluation mode."""
    for node in calls(module, torch.ops.aten._assert_tensor_metadata.default):
        module.graph.erase_node(node)
    for node in list(module.graph.nodes):
        if node.op == "call_function" and _does_nothing(node):
            replace(module, node, node.args[0])


def _does_nothing(node: fx.Node) -> bool:
    if node.target in _SAME_VALUE:
        return True
    if node.target in _DROPOUTS:
        values = arguments_of(node)
        return not values["train"] or values["p"] == 0
    if node.target is torch.ops.aten.slice.Tensor:
        values = arguments_of(node)
        return values["start"] in (0, None) and values["end"] in (sys.maxsize, None) and values["step"] == 1
    if node.target is torch.ops.aten.to.dtype:
        values = arguments_of(node)
        return values["memory_format"] is None and values["dtype"] is values["self"].meta["val"].dtype
    return False


def leave_no_writes(module: fx.GraphModule) -> None:
    """Replace in-place operators by functional ones, where nothing else sees the write."""
    for node in module.graph.nodes:
        if node.op != "call_function":
            continue
        if isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable:
            packet = getattr(torch.ops.aten, node.target._schema.name.removeprefix("aten::").removesuffix("_"), None)
            if packet is not None and node.target._overloadname in packet.overloads() and not _is_seen(node):
                node.target = getattr(packet, node.target._overloadname)


def _is_seen(write: fx.Node) -> bool:
    """Return whether anything reads an in-place write other than through the node's own result."""
    value: Any = write.args[0]
    through = write
    while True:
        for user in value.users:
            if user is not through and (user > write or _is_view(user)):
                return True
        if not _is_view(value):
            return bool(value.op == "get_attr")
        value, through = value.args[0], value


def _is_view(node: fx.Node) -> bool:
    if not isinstance(node.target, torch._ops.OpOverload):
        return False
    return any(value.alias_info is not None and not value.alias_info.is_write for value in node.target._schema.returns)


def untie_layers(module: fx.GraphModule) -> None:
    """Give each use of a layer its own weights, since folding a normalisation into one use would change the others.

    The copies for the node NODE are named `NODE_weight` and `NODE_bias`.
    """
    taken: set[str] = set()
    for node in module.graph.nodes:
        if node.op != "call_function" or node.target not in LAYERS:
            continue
        for position, kind in ((1, "weight"), (2, "bias")):
            source: Any = node.args[position] if len(node.args) > position else None
            if source is None or source.op != "get_attr":
                continue
            if source.target in taken or any(user.target not in LAYERS for user in source.users):
                value, name = attribute(module, source.target), f"{node.name}_{kind}"
                module.register_parameter(name, nn.Parameter(value.clone()))
                with module.graph.inserting_before(node):
                    own = module.graph.get_attr(name)
                own.meta = dict(source.meta)
                node.update_arg(position, own)
            taken.add(source.target)
