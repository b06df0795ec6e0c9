"""What a model computes from its parameters alone, computed once: standardised weights, tables of positions."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, fx, nn

from edgerift.adapt._nodes import LAYERS, arguments_of, attribute, calls

_ATEN: Final = torch.ops.aten
_EXPANDING: Final = (_ATEN.add.Tensor, _ATEN.sub.Tensor, _ATEN.mul.Tensor, _ATEN.div.Tensor)
#: How many images stand for any number of them.
_BATCH: Final = 2
_LAYER_TENSORS: Final = {"weight": 1, "bias": 2}


def compute_constants(module: fx.GraphModule) -> None:
    """Replace what depends on no image by its value.

    A layer's computed weight or bias keeps the name of the parameter that it is computed from, when nothing else reads
    that. What depends on the number of images, but is the same for each, is stored for one image, where its readers
    repeat it by themselves.
    """
    for batches in (True, False):
        fixed = _fixed(module, batches)
        for node in list(module.graph.nodes):
            is_last = node in fixed and node.op == "call_function" and any(user not in fixed for user in node.users)
            if is_last and isinstance(node.meta.get("val"), Tensor):
                _replace(module, node, repeated=batches)
        module.graph.eliminate_dead_code()


def _fixed(module: fx.GraphModule, batches: bool) -> set[fx.Node]:
    """List the nodes whose values depend on stored tensors alone, and on the number of images if `batches`."""
    found: set[fx.Node] = set()
    for node in module.graph.nodes:
        is_function = node.op == "call_function" and _is_pure(node) and set(node.all_input_nodes) <= found
        if node.op == "get_attr" or is_function or (batches and _is_batch(node)):
            found.add(node)
    return found


def _is_batch(node: fx.Node) -> bool:
    if node.target is not _ATEN.sym_size.int:
        return False
    source: Any = node.args[0]
    return bool(source.op == "placeholder" and node.args[1] == 0)


def _is_pure(node: fx.Node) -> bool:
    target: Any = node.target
    if not isinstance(target, torch._ops.OpOverload) or target._schema.is_mutable:
        return getattr(target, "__module__", "") == "_operator"  # Items, and arithmetic on sizes.
    return torch.Tag.nondeterministic_seeded not in target.tags


def _replace(module: fx.GraphModule, node: fx.Node, *, repeated: bool) -> None:
    known: dict[fx.Node, Any] = {each: _BATCH for each in module.graph.nodes if _is_batch(each)}
    with torch.no_grad():
        value = _value(module, node, known)
    if repeated and isinstance(node.meta["val"].shape[0] if node.meta["val"].dim() else 0, torch.SymInt):
        if not _repeats(node) or not bool((value == value[:1]).all()):
            return
        value = value[:1]
    elif repeated:
        return
    layer_name = _layer_tensor(node, set(known))
    owner, _, last = (layer_name or f"{node.name}_value").rpartition(".")
    holder = module.get_submodule(owner)
    if hasattr(holder, last):
        delattr(holder, last)
    stored = value.detach().clone().contiguous()
    if layer_name is None:
        holder.register_buffer(last, stored)
    else:  # A layer's own tensors learn in quantization-aware training; other constants do not.
        holder.register_parameter(last, nn.Parameter(stored, requires_grad=False))
    with module.graph.inserting_before(node):
        constant = module.graph.get_attr(f"{owner}.{last}" if owner else last)
    constant.meta = {**node.meta, "val": node.meta["val"].fake_mode.from_tensor(stored)}
    node.replace_all_uses_with(constant)


def _value(module: fx.GraphModule, node: fx.Node, known: dict[fx.Node, Any]) -> Any:
    if node not in known:
        for source in node.all_input_nodes:  # Deep chains are folded bottom up.
            _value(module, source, known)
        if node.op == "get_attr":
            known[node] = attribute(module, str(node.target))
        else:
            target: Any = node.target
            arguments, keywords = fx.map_arg((node.args, dict(node.kwargs)), known.__getitem__)
            known[node] = target(*arguments, **keywords)
    return known[node]


def _layer_tensor(node: fx.Node, behind: set[fx.Node]) -> str | None:
    """Name a layer's weight or bias, by the parameter behind it where that is its own; None for another constant."""
    (reader, *others) = node.users
    if not others and reader.op == "call_function" and reader.target in LAYERS:
        for kind, place in _LAYER_TENSORS.items():
            if len(reader.args) > place and reader.args[place] is node:
                for source in behind:
                    is_own = source.op == "get_attr" and str(source.target).rpartition(".")[2] == kind
                    if is_own and source.meta["val"].shape == node.meta["val"].shape and set(source.users) <= behind:
                        return str(source.target)
                return f"{reader.name}_{kind}"
    return None


def drop_expansions(module: fx.GraphModule) -> None:
    """Remove expansions whose readers, sums, products and quotients, expand by themselves."""
    for node in calls(module, _ATEN.expand.default, _ATEN.expand_as.default):
        source: Any = arguments_of(node)["self"]
        for user in list(node.users):
            others = [value for value in user.args if isinstance(value, fx.Node) and value is not node]
            if user.target in _EXPANDING and any(_has_shape(other, node) for other in others):
                user.replace_input_with(node, source)
        if not node.users:
            module.graph.erase_node(node)


def _repeats(node: fx.Node) -> bool:
    """Return whether all readers of a node expand it by themselves to the shape that it has."""
    return all(
        user.target in _EXPANDING
        and any(_has_shape(other, node) for other in user.all_input_nodes if other is not node and "val" in other.meta)
        for user in node.users
    )


def _has_shape(value: fx.Node, other: fx.Node) -> bool:
    given, wanted = value.meta["val"].shape, other.meta["val"].shape
    return len(given) == len(wanted) and all(str(one) == str(two) for one, two in zip(given, wanted, strict=True))
