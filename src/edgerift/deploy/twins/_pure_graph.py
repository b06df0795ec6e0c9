"""A traced module's graph without writes in place, so that its nodes can be fused and reordered."""

from __future__ import annotations

from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

#: Methods and functions that may answer with a view of their input.
_VIEWS: Final = frozenset(
    {
        *("view", "view_as", "reshape", "flatten", "unflatten", "transpose", "permute", "squeeze", "unsqueeze"),
        *("expand", "expand_as", "narrow", "select", "chunk", "split", "unbind", "detach", "contiguous", "to", "float"),
        *("movedim", "swapaxes", "t", "getitem"),
    }
)
_VIEWING_MODULES: Final = (nn.Flatten, nn.Unflatten, nn.Identity)


class NotPureError(Exception):
    """A write in place may be seen through a view, or has no functional form."""


def make_pure(module: fx.GraphModule) -> None:
    """Replace each in-place operator by its functional form; raises `NotPureError` where that changes a value."""
    writing = {name for name, part in module.named_modules(remove_duplicate=False) if getattr(part, "inplace", False)}
    for node in list(module.graph.nodes):
        if not _rewrite(node, writing):
            continue
        value: Any = node.args[0]
        _require_unseen(module, node)
        # What comes after the write reads what was written.
        value.replace_all_uses_with(node, delete_user_cb=lambda user, write=node: user > write)
    for name in writing:
        part: Any = module.get_submodule(name)
        part.inplace = False


def _rewrite(node: fx.Node, writing: set[str]) -> bool:
    """Replace the in-place write of one node; returns whether there was one."""
    if node.op == "call_module":
        return str(node.target) in writing
    if node.op == "call_method":
        name = str(node.target)
        if not name.endswith("_") or name.endswith("__"):
            return False
        if not hasattr(Tensor, name[:-1]):
            raise NotPureError(name)
        node.target = name[:-1]
        return True
    if node.op != "call_function":
        return False
    name = getattr(node.target, "__name__", "")
    if "out" in node.kwargs:
        raise NotPureError(name)
    if node.kwargs.get("inplace", False):
        node.kwargs = {**node.kwargs, "inplace": False}
        return True
    for namespace in (torch, F):
        if name.endswith("_") and not name.endswith("__") and getattr(namespace, name, None) is node.target:
            node.target = getattr(namespace, name[:-1])
            return True
    return False


def _require_unseen(module: fx.GraphModule, write: fx.Node) -> None:
    """Refuse a write that something reads otherwise than through the written node or through its own result."""
    value: Any = write.args[0]
    through = write
    while isinstance(value, fx.Node) and value.op not in ("placeholder", "get_attr"):
        others = [user for user in value.users if user is not through]
        if any(_is_view(module, user) for user in others):
            break
        if through is not write and any(user > write for user in others):
            break
        if not _is_view(module, value):
            return
        value, through = value.args[0], value
    raise NotPureError(write.name)


def _is_view(module: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        return isinstance(module.get_submodule(str(node.target)), _VIEWING_MODULES)
    return node.op.startswith("call_") and getattr(node.target, "__name__", node.target) in _VIEWS
