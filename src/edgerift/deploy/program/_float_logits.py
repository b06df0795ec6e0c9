"""A program whose last layer is computed in float, so that its logits lie on no grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from torch import Tensor

from edgerift.deploy.program._encoding import Json
from edgerift.deploy.program._operators import DEQUANTIZE, DEQUANTIZE_CHANNELS, QUANTIZE
from edgerift.deploy.program._program import Operation, Program
from edgerift.errors import QuantizationError

_LINEAR: Final = "aten.linear.default"
#: What stands between the last feature map and the last layer.
_POOLING: Final = frozenset(
    {
        "aten.adaptive_avg_pool2d.default",
        "aten.avg_pool2d.default",
        "aten.mean.dim",
        "aten.flatten.using_ints",
        "aten.reshape.default",
        "aten.view.default",
        "aten.squeeze.dims",
    }
)


def float_logits(program: Program) -> Program:
    """Return a program that computes its last linear layer, and the pooling before it, in float32.

    All else stays in integers, and the weights are the rounded ones. The logits then are not levels of a grid: their
    gaps, which a guard compares, are not rounded. A program whose logits lie on no grid is returned as it is. Raises
    :class:`~edgerift.errors.QuantizationError` where no linear layer with integer weights makes the logits.
    """
    made = {operation.name: operation for operation in program.operations}
    last = made.get(program.output)
    if last is None or last.operator != DEQUANTIZE:
        return program
    rounding = _source(last, made)
    layer = None if rounding is None or rounding.operator != QUANTIZE else _source(rounding, made)
    weight = None if layer is None or layer.operator != _LINEAR else _source(layer, made, place=1)
    if rounding is None or layer is None or weight is None or weight.operator not in (DEQUANTIZE, DEQUANTIZE_CHANNELS):
        raise QuantizationError(
            "the logits of this program are not made by a linear layer with integer weights; keep them quantized"
        )
    name = str(weight.arguments[0]["tensor"])  # type: ignore[index, call-overload]
    rounded = _rounded_before(layer, made)
    instead: dict[str, Json] = {weight.name: {"tensor": name}}
    instead |= {end.name: begin.arguments[0] for begin, end in rounded}
    left_out = (last, rounding, weight, *(part for pair in rounded for part in pair))
    operations = tuple(_rewired(operation, instead) for operation in program.operations if operation not in left_out)
    used = _tensors_of(operations)
    tensors = {**program.tensors, name: _float_weight(weight, program.tensors)}
    settings = {**program.provenance.settings, "logits": "float"}
    return replace(
        program,
        operations=operations,
        tensors={name: tensor for name, tensor in tensors.items() if name in used},
        output=layer.name,
        provenance=program.provenance.replace(settings=settings),
    )


def _rounded_before(layer: Operation, made: Mapping[str, Operation]) -> list[tuple[Operation, Operation]]:
    """List the roundings of what is pooled and reshaped before a layer, each with its way back to float."""
    found: list[tuple[Operation, Operation]] = []
    after = layer
    while True:
        end = _source(after, made)
        begin = None if end is None or end.operator != DEQUANTIZE else _source(end, made)
        pooled = None if begin is None or begin.operator != QUANTIZE else _source(begin, made)
        if end is None or begin is None or pooled is None or pooled.operator not in _POOLING:
            return found
        found.append((begin, end))
        after = pooled


def _rewired(operation: Operation, instead: Mapping[str, Json]) -> Operation:
    """Give an operation other arguments in the place of those that are left out."""
    arguments = [
        instead.get(str(given["node"]), given) if isinstance(given, dict) and "node" in given else given
        for given in operation.arguments
    ]
    return operation if arguments == operation.arguments else operation.replace(arguments=arguments)


def _source(operation: Operation, made: Mapping[str, Operation], place: int = 0) -> Operation | None:
    given = operation.arguments[place]
    return made.get(str(given["node"])) if isinstance(given, dict) and "node" in given else None


def _float_weight(weight: Operation, tensors: Mapping[str, Tensor]) -> Tensor:
    def stored(given: Any) -> Any:
        return tensors[given["tensor"]] if isinstance(given, dict) else given

    levels, scale, zero = (stored(given) for given in weight.arguments[:3])
    if weight.operator == DEQUANTIZE_CHANNELS:
        scale, zero = scale[:, None], zero[:, None]
    weights: Tensor = (levels.double() - zero) * scale
    return weights.float()


def _tensors_of(operations: tuple[Operation, ...]) -> set[str]:
    return {
        str(given["tensor"])
        for operation in operations
        for given in (*operation.arguments, *operation.keywords.values())
        if isinstance(given, dict) and "tensor" in given
    }
