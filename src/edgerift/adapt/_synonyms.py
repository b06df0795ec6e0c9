"""Operators that are another spelling of operators that a program holds."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import fx

from edgerift.adapt._nodes import arguments_of, call, calls, replace

_ATEN: Final = torch.ops.aten


def enter_regions(module: fx.GraphModule) -> None:
    """Put the contents of regions without gradients, and of those with autocast switched off, in their place."""
    for node in list(module.graph.nodes):
        name = getattr(node.target, "__name__", "") if node.op == "call_function" else ""
        if name == "wrap_with_set_grad_enabled":
            _enter(module, node, node.args[1], node.args[2:])
        elif name == "wrap_with_autocast" and not node.args[2]:
            _enter(module, node, node.args[4], node.args[5:])
    module.graph.eliminate_dead_code()


def _enter(module: fx.GraphModule, node: fx.Node, part: Any, arguments: Any) -> None:
    inner: Any = module.get_submodule(str(part.target))
    values = dict(zip((each for each in inner.graph.nodes if each.op == "placeholder"), arguments, strict=True))
    results: Any = ()
    for each in inner.graph.nodes:
        if each.op == "output":
            results = fx.map_arg(each.args[0], values.__getitem__)
        elif each.op == "get_attr":
            name = f"{node.name}_{each.name}"
            stored = inner.get_parameter(each.target) if _is_parameter(inner, each) else inner.get_buffer(each.target)
            setattr(module, name, stored)
            with module.graph.inserting_before(node):
                values[each] = module.graph.get_attr(name)
            values[each].meta = dict(each.meta)
        elif each.op != "placeholder":
            with module.graph.inserting_before(node):
                values[each] = module.graph.node_copy(each, values.__getitem__)
    if not isinstance(results, (list, tuple)):
        replace(module, node, results)
        return
    for reader in list(node.users):
        if reader.target is operator.getitem:
            place: Any = reader.args[1]
            replace(module, reader, results[place])


def _is_parameter(inner: fx.GraphModule, node: fx.Node) -> bool:
    return str(node.target) in dict(inner.named_parameters())


def spell_synonyms(module: fx.GraphModule) -> None:
    """Write `unbind`, `roll`, `reshape_as`, `addcmul` and a Euclidean norm with the operators that a program holds."""
    for target, spell in _SPELLINGS.items():
        for node in calls(module, target):
            with module.graph.inserting_before(node):
                spell(module, node)
    module.graph.eliminate_dead_code()


def _unbind(module: fx.GraphModule, node: fx.Node) -> None:
    values = arguments_of(node)
    for reader in list(node.users):
        if reader.target is operator.getitem:
            arguments = (values["self"], values["dim"], reader.args[1])
            replace(module, reader, call(module, _ATEN.select.int, arguments, torch.select, reader))


def _roll(module: fx.GraphModule, node: fx.Node) -> None:
    values = arguments_of(node)
    source: Any = values["self"]
    if not values["dims"]:
        return
    for shift, axis in zip(values["shifts"], values["dims"], strict=True):
        extent = source.meta["val"].shape[axis]
        if not isinstance(extent, int):
            return
        if shift % extent == 0:
            continue
        cut = extent - shift % extent
        pieces = [
            call(module, _ATEN.slice.Tensor, (source, axis, start, end), torch.narrow, node)
            for start, end in ((cut, extent), (0, cut))
        ]
        source = call(module, _ATEN.cat.default, (pieces, axis), torch.cat, node)
    replace(module, node, source)


def _reshape_as(module: fx.GraphModule, node: fx.Node) -> None:
    shape = list(node.meta["val"].shape)
    free = [place for place, extent in enumerate(shape) if not isinstance(extent, int)]
    if len(free) > 1:
        return
    wanted = [-1 if place in free else extent for place, extent in enumerate(shape)]
    source = arguments_of(node)["self"]
    replace(module, node, call(module, _ATEN.reshape.default, (source, wanted), torch.reshape, node))


def _addcmul(module: fx.GraphModule, node: fx.Node) -> None:
    values = arguments_of(node)
    if values["value"] != 1:
        return
    product = call(module, _ATEN.mul.Tensor, (values["tensor1"], values["tensor2"]), torch.mul, node)
    replace(module, node, call(module, _ATEN.add.Tensor, (product, values["self"]), torch.add, node))


def _norm(module: fx.GraphModule, node: fx.Node) -> None:
    values = arguments_of(node)
    if values["ord"] != 2 or values["dim"] is None or values["dtype"] is not None:
        return
    square = call(module, _ATEN.mul.Tensor, (values["self"], values["self"]), torch.mul, node)
    total = call(module, _ATEN.sum.dim_IntList, (square, values["dim"], values["keepdim"]), torch.sum, node)
    replace(module, node, call(module, _ATEN.sqrt.default, (total,), torch.sqrt, node))


_SPELLINGS: Final[dict[Any, Callable[[fx.GraphModule, fx.Node], None]]] = {
    _ATEN.unbind.int: _unbind,
    _ATEN.roll.default: _roll,
    _ATEN.reshape_as.default: _reshape_as,
    _ATEN.addcmul.default: _addcmul,
    _ATEN.linalg_vector_norm.default: _norm,
}
