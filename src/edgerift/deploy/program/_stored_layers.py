"""The convolutions and linear layers of a build as its file stores them, whatever wrote it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from edgerift.deploy.program._grid import grid_of, stored
from edgerift.deploy.program._layers import is_layer, real_bias
from edgerift.deploy.program._program import Program


@dataclass(frozen=True)
class StoredLayer:
    """A layer's weight and bias, as a file stores them.

    `codes` are the stored numbers of the weight, int64 `[C_out,C_in/groups,...]` or, for a linear layer,
    `[C_out,C_in]`. `scale` float64 and `zero_point` int64 broadcast against them, and `low` and `high` are the ends of
    the codes. A weight that is stored in float has codes of float64, and None for the scale. `bias` holds the
    real values, float64 `[C_out]`, None where there is none or the file computes it elsewhere; `bias_step` `[C_out]` is
    the distance of two neighbouring ones, None where they are stored in float. `input_scale` is that of the layer's
    input, None where that is not quantized.
    """

    name: str
    codes: Tensor
    scale: Tensor | None
    zero_point: Tensor | None
    low: int
    high: int
    bias: Tensor | None = None
    bias_step: Tensor | None = None
    input_scale: float | None = None

    @property
    def real(self) -> Tensor:
        """The weight that the file stands for, float64."""
        if self.scale is None or self.zero_point is None:
            return self.codes
        return (self.codes - self.zero_point).double() * self.scale

    def moved(self, codes: Tensor) -> StoredLayer:
        """The same layer with other codes."""
        return replace(self, codes=codes)


def program_layers(program: Program) -> tuple[StoredLayer, ...]:
    """Read the quantized layers of a program, in its order and by the names of its tensors."""
    operations = {operation.name: operation for operation in program.operations}
    module = program.module()
    return tuple(_of_node(module, node, operations) for node in module.graph.nodes if is_layer(node))


def _of_node(module: Any, node: Any, operations: Any) -> StoredLayer:
    weight = node.args[1]
    reference: Any = operations[weight.name].arguments[0]
    codes = stored(module, weight.args[0]).contiguous()
    shape = [-1] + [1] * (codes.dim() - 1)
    bias = real_bias(module, node)
    return StoredLayer(
        name=str(reference["tensor"]).removesuffix(".weight"),
        codes=codes.long(),
        scale=stored(module, weight.args[1]).double().reshape(shape),
        zero_point=stored(module, weight.args[2]).long().reshape(shape),
        low=int(weight.args[4]),
        high=int(weight.args[5]),
        bias=None if bias is None else bias.double(),
        input_scale=grid_of(node.args[0]).scale,
    )


def along(values: Tensor, axis: int, dimensions: int) -> Tensor:
    """Shape one value, or one for each index of an axis, so that it broadcasts against a weight."""
    shape = [1] * dimensions
    if values.numel() > 1:
        shape[axis] = -1
    return values.reshape(shape)


def step_of(scale: Tensor, input_scale: float, channels: int) -> Tensor:
    """The distance `[C_out]` of two neighbouring sums of a layer whose weights have a scale each, or one for all."""
    flat = scale.double().flatten() * input_scale
    return flat.expand(channels) if flat.numel() == 1 else flat


def kind_ends(codes: Tensor) -> tuple[int, int]:
    """The ends of a tensor's integer type."""
    ends = torch.iinfo(codes.dtype)
    return ends.min, ends.max
