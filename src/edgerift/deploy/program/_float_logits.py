"""A program whose last layer is computed in float, so that its logits lie on no grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from torch import Tensor

from edgerift.deploy.program._operators import DEQUANTIZE, DEQUANTIZE_CHANNELS, QUANTIZE
from edgerift.deploy.program._program import Operation, Program
from edgerift.errors import QuantizationError

_LINEAR: Final = "aten.linear.default"


def float_logits(program: Program) -> Program:
    """Return a program that computes its last linear layer in float32, from the same rounded inputs and weights.

    All else stays in integers. The logits then are not levels of a grid: their gaps, which a guard compares, are not
    rounded. A program whose logits lie on no grid is returned as it is. Raises
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
    arguments = [layer.arguments[0], {"tensor": name}, *layer.arguments[2:]]
    operations = tuple(
        operation.replace(arguments=arguments) if operation is layer else operation
        for operation in program.operations
        if operation not in (last, rounding, weight)
    )
    tensors = {**program.tensors, name: _float_weight(weight, program.tensors)}
    used = _tensors_of(operations)
    settings = {**program.provenance.settings, "logits": "float"}
    return replace(
        program,
        operations=operations,
        tensors={name: tensor for name, tensor in tensors.items() if name in used},
        output=layer.name,
        provenance=program.provenance.replace(settings=settings),
    )


def _source(operation: Operation, made: Mapping[str, Operation], place: int = 0) -> Operation | None:
    given = operation.arguments[place]
    return made.get(str(given["node"])) if isinstance(given, dict) and "node" in given else None


def _float_weight(weight: Operation, tensors: Mapping[str, Tensor]) -> Tensor:
    def stored(given: Any) -> Any:
        return tensors[given["tensor"]] if isinstance(given, dict) else given

    levels, scale, zero = (stored(given) for given in weight.arguments[:3])
    if weight.operator == DEQUANTIZE_CHANNELS:
        scale, zero = scale[:, None], zero[:, None]
    return ((levels.double() - zero) * scale).float()


def _tensors_of(operations: tuple[Operation, ...]) -> set[str]:
    return {
        str(given["tensor"])
        for operation in operations
        for given in (*operation.arguments, *operation.keywords.values())
        if isinstance(given, dict) and "tensor" in given
    }
