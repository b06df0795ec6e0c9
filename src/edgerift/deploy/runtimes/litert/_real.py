"""Real-valued operators of a program that every kernel computes to the last bit alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import fx

from edgerift.deploy.program._grid import stored
from edgerift.deploy.program._operators import HARDTANH, RELU, operator_name
from edgerift.deploy.program._regions import hardtanh_bounds
from edgerift.deploy.runtimes.litert._file import Options
from edgerift.deploy.runtimes.litert._integer import aligned_with
from edgerift.deploy.runtimes.litert._moving import MOVES
from edgerift.deploy.runtimes.litert._smooth import SMOOTH
from edgerift.deploy.runtimes.litert._writer import Find, Held, Writer, refuse

_BINARY: Final = {
    "add": ("ADD", "Add"),
    "sub": ("SUB", "Sub"),
    "mul": ("MUL", "Mul"),
    "div": ("DIV", "Div"),
    "maximum": ("MAXIMUM", "MaximumMinimum"),
    "minimum": ("MINIMUM", "MaximumMinimum"),
}
_UNARY: Final = {RELU: ("RELU", None), "aten.neg.default": ("NEG", "Neg"), "aten.abs.default": ("ABS", "Abs")}


def append_real(writer: Writer, node: fx.Node, find: Find) -> Held:
    """Append a real-valued operator; raises :class:`~edgerift.errors.BuildError` for one that is not exact."""
    name = operator_name(node.target)
    append = MOVES.get(name) or _EXACT.get(name) or SMOOTH.get(name)
    if append is None or node.kwargs:
        refuse(node, "has no kernel that computes it to the last bit")
    assert append is not None
    return append(writer, node, find)


def _binary(writer: Writer, node: fx.Node, find: Find) -> Held:
    code, table = _BINARY[operator_name(node.target).split(".")[1]]
    given: Any = node.args
    computed = {argument: find(argument) for argument in given if _is_computed(argument)}
    order = max(computed.values(), key=lambda held: len(held.shape)).order
    inputs = [
        aligned_with(writer, computed[argument], order).index
        if argument in computed
        else _constant(writer, node, argument, order)
        for argument in given
    ]
    return writer.made(node, code, inputs, order=order, options=Options(table))


def _is_computed(argument: Any) -> bool:
    return isinstance(argument, fx.Node) and argument.op != "get_attr"


def _constant(writer: Writer, node: fx.Node, argument: Any, order: tuple[int, ...]) -> int:
    """Add the constant of an operation, in the order of memory of the value that it is combined with."""
    value = stored(writer.source, argument) if isinstance(argument, fx.Node) else torch.tensor(float(argument))
    wide = value.reshape([1] * (len(order) - value.dim()) + list(value.shape))
    return writer.constant(f"{node.name}_constant", wide.permute(order)).index


def _unary(writer: Writer, node: fx.Node, find: Find) -> Held:
    code, table = _UNARY[operator_name(node.target)]
    source: Any = node.args[0]
    held = find(source)
    options = None if table is None else Options(table)
    return writer.made(node, code, [held.index], order=held.order, options=options)


def _clamp(writer: Writer, node: fx.Node, find: Find) -> Held:
    source: Any = node.args[0]
    held = find(source)
    for code, bound in zip(("MAXIMUM", "MINIMUM"), hardtanh_bounds(node), strict=True):
        constant = writer.constant("bound", torch.full([1] * len(held.shape), bound))
        inputs = [held.index, constant.index]
        held = writer.appended(node.name, code, inputs, held, Options("MaximumMinimum"))
    return held


_EXACT: Final[dict[str, Callable[[Writer, fx.Node, Find], Held]]] = {
    **{f"aten.{name}.{overload}": _binary for name in _BINARY for overload in ("Tensor", "Scalar", "default")},
    **dict.fromkeys(_UNARY, _unary),
    HARDTANH: _clamp,
}
