"""What has to lie on a grid besides the quantizers' own operators, so that every runtime computes the same bits.

Sums of float32 depend on their order. Sums of whole multiples of a power of two do not, while they stay below 2^24 of
them: so what matrix products, norms and other sums read lies on grids whose scale is a power of two. A smooth function
of values on a grid has 256 results at most, whatever the last bits of a runtime's exponential are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import torch
from torch import fx

from edgerift.deploy import is_moving, operator_name

_ATEN: Final = torch.ops.aten
PRODUCT: Final = _ATEN.matmul.default
#: Operators that sum over some of the elements of their first input.
_SUMMING: Final = (
    PRODUCT,
    _ATEN.sum.dim_IntList,
    _ATEN.layer_norm.default,
    _ATEN.group_norm.default,
    _ATEN.amax.default,
)
#: Smooth functions of one number.
FUNCTIONS: Final = (
    _ATEN.silu.default,
    _ATEN.gelu.default,
    _ATEN.sigmoid.default,
    _ATEN.hardsigmoid.default,
    _ATEN.hardswish.default,
    _ATEN.tanh.default,
    _ATEN.elu.default,
    _ATEN.exp.default,
)
_ARITHMETIC: Final = (_ATEN.mul.Tensor, _ATEN.add.Tensor, _ATEN.div.Tensor)


def summed_inputs(node: fx.Node) -> Iterator[fx.Node]:
    """The inputs of an operator that have to lie on a grid of a power of two."""
    if node.op != "call_function":
        return
    if node.target is PRODUCT:
        yield from (value for value in node.args[:2] if isinstance(value, fx.Node))
    elif node.target in _SUMMING or _is_square(node) or is_below_most(node) or _is_share(node):
        yield node.args[0]  # type: ignore[misc]


def annotate_reductions(model: fx.GraphModule, grid: Any) -> None:
    """Put the inputs of sums on grids, and leave in float what stands between a matrix product and its next reader."""
    for node in model.graph.nodes:
        for part in _quotient(node):
            _annotate(part, {})
    for node in model.graph.nodes:
        if node.op != "call_function":
            continue
        sources = list(summed_inputs(node))
        if sources and not _is_square_of_float(node):
            _annotate(node, {source: grid for source in sources if source.op != "get_attr"})
        elif _follows_product(node):
            _annotate(node, {})


def annotate_functions(model: fx.GraphModule, grid: Any) -> None:
    """Put the inputs of smooth functions on grids, where they are not yet."""
    from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

    for node in model.graph.nodes:
        if node.op == "call_function" and node.target in FUNCTIONS and Q_ANNOTATION_KEY not in node.meta:
            source: Any = node.args[0]
            if not is_below_most(source):
                _annotate(node, {source: grid})


def annotate_means(model: fx.GraphModule, grid: Any) -> None:
    """Put on grids what a mean over height and width reads, and its result, where what it reads is still in float."""
    from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

    for node in model.graph.nodes:
        if node.target is not _ATEN.adaptive_avg_pool2d.default or Q_ANNOTATION_KEY in node.meta:
            continue
        source: Any = node.args[0]
        annotation = source.meta.get(Q_ANNOTATION_KEY)
        if source.target in FUNCTIONS or (annotation is not None and annotation.output_qspec is None):
            _annotate(node, {source: grid}, grid)


def _annotate(node: fx.Node, inputs: dict[fx.Node, Any], output: Any = None) -> None:
    from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY, QuantizationAnnotation

    node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(input_qspec_map=inputs, output_qspec=output, _annotated=True)


def _is_square(node: fx.Node) -> bool:
    """Return whether a node squares what a sum reads."""
    if node.target is not _ATEN.mul.Tensor or node.args[0] is not node.args[1]:
        return False
    return all(user.target is _ATEN.sum.dim_IntList for user in node.users)


def _is_square_of_float(node: fx.Node) -> bool:
    """Return whether a node sums squares, which are whole numbers where what is squared lies on a grid."""
    source: Any = node.args[0]
    return node.target is _ATEN.sum.dim_IntList and isinstance(source, fx.Node) and _is_square(source)


def is_below_most(node: fx.Node) -> bool:
    """Return whether a node subtracts the largest value of what it reads, as a softmax does."""
    if node.target is not _ATEN.sub.Tensor or not isinstance(node.args[1], fx.Node):
        return False
    most = node.args[1]
    return most.target is _ATEN.amax.default and _origin(most.args[0]) is _origin(node.args[0])


def _is_share(node: fx.Node) -> bool:
    """Return whether a node divides an exponential by the sum of them."""
    if node.target is not _ATEN.div.Tensor:
        return False
    total: Any = node.args[1]
    return (
        isinstance(total, fx.Node)
        and total.target is _ATEN.sum.dim_IntList
        and _origin(node.args[0]) is _origin(total.args[0])
    )


def _quotient(node: fx.Node) -> list[fx.Node]:
    """A division of one part of a matrix product by another, as linear attention has, with what leads there from it.

    Such a divisor may be smaller than half a level of the product.
    """
    if node.target is not _ATEN.div.Tensor or not all(isinstance(value, fx.Node) for value in node.args[:2]):
        return []
    (above, first), (below, second) = (_since_product(value) for value in node.args[:2])
    return [node, *above, *below] if first is second and first is not None else []


def _since_product(node: Any) -> tuple[list[fx.Node], fx.Node | None]:
    """What moves, scales or shifts a matrix product before it becomes this value, and the product; None for others."""
    passed = []
    while isinstance(node, fx.Node) and node.op == "call_function" and node.target is not PRODUCT:
        shifts = node.target in _ARITHMETIC and not _is_computed(node.args[1])
        if not shifts and not is_moving(operator_name(node.target)):
            return [], None
        passed.append(node)
        node = node.args[0]
    return (passed, node) if isinstance(node, fx.Node) and node.target is PRODUCT else ([], None)


def _is_computed(value: Any) -> bool:
    return isinstance(value, fx.Node) and value.op != "get_attr"


def _origin(node: Any) -> Any:
    """The operator behind an observer."""
    while isinstance(node, fx.Node) and node.op == "call_module":
        node = node.args[0]
    return node


def _follows_product(node: fx.Node) -> bool:
    """Return whether a node scales or shifts a matrix product by numbers or stored tensors."""
    while node.op == "call_function" and node.target in _ARITHMETIC:
        source: Any = node.args[0]
        other: Any = node.args[1]
        if _is_computed(other):
            return False
        if not isinstance(source, fx.Node):
            return False
        node = source
        if node.target is PRODUCT:
            return True
    return False
