"""Smooth functions of values on a grid, and sums of them.

A program's grids are such that these round alike whatever the last bits of a runtime's functions are and in whatever
order it sums: a function has 256 results at most, none of which lies near a tie, and what is summed lies on a power of
two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import fx

from edgerift.deploy.program._grid import is_dequantize, quantize_arguments
from edgerift.deploy.program._operators import operator_name
from edgerift.deploy.runtimes.litert._file import Options
from edgerift.deploy.runtimes.litert._writer import Find, Held, Writer, refuse

#: Functions that are one operator of the file: its code, and the table of its options.
_FUNCTIONS: Final[dict[str, tuple[str, Options | None]]] = {
    "aten.sigmoid.default": ("LOGISTIC", None),
    "aten.tanh.default": ("TANH", None),
    "aten.elu.default": ("ELU", None),
    "aten.exp.default": ("EXP", Options("Exp")),
    "aten.hardswish.default": ("HARD_SWISH", Options("HardSwish")),
    "aten.gelu.default": ("GELU", Options("Gelu", {"approximate": False})),
}
_SILU: Final = "aten.silu.default"
_HARD_SIGMOID: Final = "aten.hardsigmoid.default"
_SUMS: Final = {"aten.sum.dim_IntList": "SUM", "aten.amax.default": "REDUCE_MAX"}
_PRODUCT: Final = "aten.matmul.default"
_BELOW: Final = "aten.sub.Tensor"


def _function(writer: Writer, node: fx.Node, find: Find) -> Held:
    """Append a function, which reads levels: of other values its last bits would decide on a rounding now and then."""
    name = operator_name(node.target)
    source: Any = node.args[0]
    if not (is_dequantize(source) or _is_below_most(source)):
        refuse(node, "reads values that lie on no grid")
    if any(argument not in (1, 1.0, "none") for argument in node.args[1:]):
        refuse(node, "has factors, or is approximated")
    held = find(source)
    if name == _SILU:
        rising = writer.appended(node.name, "LOGISTIC", [held.index], held)
        return writer.appended(node.name, "MUL", [held.index, rising.index], held, Options("Mul"))
    if name == _HARD_SIGMOID:
        return _hard_sigmoid(writer, node, held)
    code, options = _FUNCTIONS[name]
    return writer.appended(node.name, code, [held.index], held, options)


def _hard_sigmoid(writer: Writer, node: fx.Node, held: Held) -> Held:
    """`clamp(x + 3, 0, 6) / 6`."""
    steps = (("ADD", 3.0, "Add"), ("MAXIMUM", 0.0, "MaximumMinimum"), ("MINIMUM", 6.0, "MaximumMinimum"))
    for code, number, table in (*steps, ("DIV", 6.0, "Div")):
        constant = writer.constant(f"{node.name}_number", torch.full([1] * len(held.shape), number))
        held = writer.appended(node.name, code, [held.index, constant.index], held, Options(table))
    return held


def _is_below_most(node: fx.Node) -> bool:
    """Return whether a node is values on a grid of a power of two less their largest one, which is on it too."""
    if node.op != "call_function" or operator_name(node.target) != _BELOW:
        return False
    values: Any = node.args[0]
    most: Any = node.args[1]
    if is_dequantize(most):
        most = quantize_arguments(most.args[0])["input"]
    if not isinstance(most, fx.Node) or operator_name(most.target) != "aten.amax.default":
        return False
    return is_dequantize(values) and is_dequantize(most.args[0])


def _sum(writer: Writer, node: fx.Node, find: Find) -> Held:
    source: Any = node.args[0]
    given: Any = node.args[1]
    held = find(source)
    keep = len(writer.shape(node)) == len(held.shape)
    held = held if keep else writer.plain(held)
    places = sorted(held.order.index(axis % len(held.shape)) for axis in given)
    axes = writer.numbers(f"{node.name}_axes", places)
    options = Options("Reducer", {"keepDims": keep})
    order = held.order if keep else None
    return writer.made(node, _SUMS[operator_name(node.target)], [held.index, axes], order=order, options=options)


def _product(writer: Writer, node: fx.Node, find: Find) -> Held:
    sources: Any = node.args
    values = [writer.plain(find(source)) for source in sources]
    if {len(held.shape) for held in values} != {len(writer.shape(node))}:
        refuse(node, "multiplies values of different dimensions")
    return writer.made(node, "BATCH_MATMUL", [held.index for held in values], options=Options("BatchMatMul"))


SMOOTH: Final[dict[str, Callable[[Writer, fx.Node, Find], Held]]] = {
    **dict.fromkeys((*_FUNCTIONS, _SILU, _HARD_SIGMOID), _function),
    **dict.fromkeys(_SUMS, _sum),
    _PRODUCT: _product,
}
"""What appends each of these operators."""
