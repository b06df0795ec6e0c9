"""The twin that learns: a program's graph with float weights, rounded anew at each step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, final

import torch
from torch import Tensor, fx, nn

from edgerift.deploy.program._encoding import Json
from edgerift.deploy.program._grid import Grid, grid_of, is_dequantize, is_quantize, quantize_arguments
from edgerift.deploy.program._operators import DEQUANTIZE, QUANTIZE, RELU, WEIGHTED, operator_name
from edgerift.deploy.program._program import Operation, Program
from edgerift.deploy.program._regions import hardtanh_bounds, is_activation
from edgerift.deploy.twins._body import Body
from edgerift.deploy.twins._groups import grid_groups
from edgerift.deploy.twins._straight_through import clipped, fake_quantize, passing_range
from edgerift.deploy.twins._translation import Translation
from edgerift.deploy.twins._twin_graph import stays_on_grid
from edgerift.errors import ProgramError

#: How much of a new batch's range enters the running range, as in torchao's moving-average observer.
_AVERAGING: Final = 0.01
#: The smallest scale that a grid takes in training, unless the calibrated program has a smaller one already.
_SMALLEST_SCALE: Final = 2.0**-12


class _RoundWeight(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, weight: Tensor, low: int, high: int, floor: Tensor) -> Tensor:
        scales = channel_scales(weight, low, high, floor).view([-1] + [1] * (weight.dim() - 1))
        return (weight / scales).round_().clamp_(low, high).mul_(scales)

    @staticmethod
    def backward(_ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        return grad, None, None, None


def channel_scales(weight: Tensor, low: int, high: int, floor: Tensor) -> Tensor:
    """The symmetric per-channel scales `[C]` of a weight `[C,...]`: the largest magnitude over half the levels.

    No scale is below its `floor`, `[C]` or one for all.
    """
    largest = weight.detach().abs().flatten(1).amax(1)
    return torch.maximum(largest / ((high - low) / 2), floor)


@final
class RoundedWeight(nn.Module):
    """A float weight `[C,...]`, used as int8 per channel: rounded forward, straight-through backward.

    What is rounded is `weight * gain`, the gain `[C,1,...]` fixed. It is the factor by which a batch normalisation was
    folded into the layer: training the weight before that factor keeps the step sizes of the float training.
    """

    def __init__(self, weight: Tensor, gain: Tensor, bounds: tuple[int, int], scales: Tensor) -> None:
        """Start from a real weight, before its gain, and the scales `[C]` that the program has for it.

        `bounds` are the smallest and largest level. A scale below the usual floor is one that the calibration found
        safe; training does not go below it.
        """
        super().__init__()
        self.weight = nn.Parameter(weight.clone())
        self.register_buffer("gain", gain.clone())
        self.gain: Tensor
        self.register_buffer("floor", scales.float().clamp(max=_SMALLEST_SCALE))
        self.floor: Tensor
        self.bounds = bounds

    def forward(self) -> Tensor:
        """Return the weight as the integers represent it."""
        rounded: Tensor = _RoundWeight.apply(self.weight * self.gain, *self.bounds, self.floor)  # type: ignore[no-untyped-call]
        return rounded

    def integers(self) -> tuple[Tensor, Tensor]:
        """Return the levels `[C,...]` as whole float32 numbers, and the scales `[C]`."""
        weight = (self.weight * self.gain).detach()
        scales = channel_scales(weight, *self.bounds, self.floor)
        levels = (weight / scales.view([-1] + [1] * (weight.dim() - 1))).round_().clamp_(*self.bounds)
        return levels.cpu(), scales.cpu()


@final
class ObservedQuantize(nn.Module):
    """Fake quantization on a grid that follows the values: a running range, moved by each training batch."""

    def __init__(self, ranges: Ranges, index: int, bounds: tuple[float, float] | None) -> None:
        """Share range `index` of `ranges`; `bounds` are those of the activation before, if any."""
        super().__init__()
        self._ranges = [ranges]  # In a list, so that the shared ranges are not this module's child too.
        self.index = index
        self.bounds = bounds

    def forward(self, value: Tensor) -> Tensor:
        """Round `value`, float32 of any shape, on the range's present grid."""
        (ranges,) = self._ranges
        if self.training and ranges.observing:
            ranges.observe(self.index, value.detach(), self.bounds)
        grid = ranges.grids[self.index]
        low, high = (None, None) if self.bounds is None else (grid.level(bound) for bound in self.bounds)
        return fake_quantize(value, grid, clipped(grid, low, high), passing_range(grid, low, high))


@final
class Ranges(nn.Module):
    """The running ranges `[G,2]` (least and greatest value) of all activation grids, and their grids."""

    def __init__(self, grids: list[Grid]) -> None:
        """Start from the grids of a calibrated program."""
        super().__init__()
        bounds = [[grid.scale * grid.low, grid.scale * grid.high] for grid in grids]
        self.register_buffer("running", torch.tensor(bounds).reshape(-1, 2))
        self.running: Tensor
        self.register_buffer("moved", torch.zeros(len(grids), dtype=torch.bool))
        self.moved: Tensor
        self.grids = list(grids)
        self.floors = [min(_SMALLEST_SCALE, grid.scale) for grid in grids]
        self.observing = True

    def observe(self, index: int, value: Tensor, bounds: tuple[float, float] | None) -> None:
        """Move one range towards the values of a batch; one with values that are not finite moves nothing."""
        # A reduction over the memory as it lies is twenty times as fast as one over the logical order.
        flat = value.permute(0, 2, 3, 1) if value.dim() == 4 else value
        least, greatest = torch.aminmax(flat.reshape(-1) if flat.is_contiguous() else value.contiguous())
        seen = torch.stack([least, greatest])
        if bounds is not None:
            seen = seen.clamp(*bounds)
        finite = torch.isfinite(seen).all()
        self.running[index] += torch.where(finite, _AVERAGING * (seen - self.running[index]), 0.0)
        self.moved[index] |= finite

    def refresh(self) -> None:
        """Derive the grids from the ranges; a range that no batch has moved keeps its grid as it is."""
        for index, ((least, greatest), moved) in enumerate(
            zip(self.running.tolist(), self.moved.tolist(), strict=True)
        ):
            if moved:
                self.grids[index] = affine_grid(least, greatest, self.grids[index], self.floors[index])


def affine_grid(least: float, greatest: float, like: Grid, floor: float = _SMALLEST_SCALE) -> Grid:
    """The affine grid over `[least, greatest]` stretched to hold 0: `scale = range / levels`, whole zero point.

    The scale is at least `floor` and rounded to float32, as quantizers keep it.

    >>> affine_grid(-1.0, 1.55, Grid(1.0, 0, -128, 127))
    Grid(scale=0.009999999776482582, zero_point=-28, minimum=-128, maximum=127)
    """
    least, greatest = min(least, 0.0), max(greatest, 0.0)
    exact = max((greatest - least) / (like.maximum - like.minimum), floor)
    scale = float(torch.tensor(exact, dtype=torch.float32))
    zero_point = max(like.minimum, min(like.maximum, like.minimum - round(least / scale)))
    return Grid(scale, zero_point, like.minimum, like.maximum)


class FloatWeight(NamedTuple):
    """A layer's float weight `[C,...]` before batch normalisation was folded in, and the factor `[C,1,...]` of that."""

    weight: Tensor
    gain: Tensor


@dataclass(frozen=True)
class _Layer:
    """Where one weighted layer's tensors stand in the program and in the trainable twin."""

    weight: str
    scale: str
    bias: str | None
    module: str
    parameter: str | None


@final
class TrainableTwin(nn.Module):
    """A program that learns: images float32 `[N,3,H,W]` in `[0,1]` to logits `[N,K]`, with float weights as parameters.

    Each forward pass rounds weights and activations as the converted program would, so that training sees the
    quantization that ships. In training mode the activations' ranges follow the batches while `ranges.observing`.
    """

    def __init__(self, program: Program, weights: Mapping[str, FloatWeight] | None = None) -> None:
        """See :func:`trainable_twin`."""
        super().__init__()
        self.program_before = program
        self.ranges, self.groups = _initial_ranges(program)
        self.layers: list[_Layer] = []
        self.body = _translate(program, self.ranges, self.groups, self.layers, weights or {})

    def forward(self, images: Tensor) -> Tensor:
        """Compute the logits `[N,K]` of images `[N,3,H,W]` in `[0,1]`."""
        # The grids follow from the ranges alone, so that a run which goes on from a checkpoint has the same ones.
        self.ranges.refresh()
        logits: Tensor = self.body(images.contiguous(memory_format=torch.channels_last))
        return logits

    def program(self) -> Program:
        """Convert to a program: integer weights from the float ones, grids from the ranges."""
        self.ranges.refresh()
        tensors: dict[str, Tensor] = {}
        for layer in self.layers:
            rounded = self.body.get_submodule(layer.module)
            assert isinstance(rounded, RoundedWeight)
            levels, scales = rounded.integers()
            kind = self.program_before.tensors[layer.weight].dtype
            tensors[layer.weight] = levels.to(kind).contiguous()
            tensors[layer.scale] = scales.to(self.program_before.tensors[layer.scale].dtype)
            if layer.bias is not None and layer.parameter is not None:
                tensors[layer.bias] = self.body.get_parameter(layer.parameter).detach().cpu().clone()
        operations = tuple(self._regridded(operation) for operation in self.program_before.operations)
        return replace(self.program_before.with_tensors(tensors), operations=operations)

    def _regridded(self, operation: Operation) -> Operation:
        if operation.operator not in (QUANTIZE, DEQUANTIZE) or operation.name not in self.groups:
            return operation  # A stored constant has a grid of its own, which does not move.
        grid = self.ranges.grids[self.groups[operation.name]]
        arguments: list[Json] = [
            operation.arguments[0],
            grid.scale,
            grid.zero_point,
            *operation.arguments[3:],
        ]
        return operation.replace(arguments=arguments)


def trainable_twin(program: Program, weights: Mapping[str, FloatWeight] | None = None) -> TrainableTwin:
    """Make the trainable twin of a calibrated program, which quantization-aware training trains.

    `weights` gives the float weights to start from, by layer, in place of the rounded ones that the program holds.
    """
    return TrainableTwin(program, weights)


def _initial_ranges(program: Program) -> tuple[Ranges, dict[str, int]]:
    groups, grids = grid_groups(program.module())
    return Ranges(grids), groups


def _translate(
    program: Program,
    ranges: Ranges,
    groups: dict[str, int],
    layers: list[_Layer],
    weights: Mapping[str, FloatWeight],
) -> Body:
    twin = Translation(program)
    operations = {operation.name: operation for operation in program.operations}
    for node in twin.source.graph.nodes:
        if is_quantize(node):
            twin.values[node] = _observed(twin, node, ranges, groups[node.name])
        elif is_dequantize(node):
            constant = twin.stored_levels(node)
            real = None if constant is None else twin.constant(constant * grid_of(node).scale)
            twin.values[node] = real or twin.values[node.args[0]]
        elif node.op == "call_function" and operator_name(node.target) in WEIGHTED:
            layers.append(_layer(twin, node, operations, weights))
        else:
            twin.copy(node)
    return twin.finish()


def _observed(twin: Translation, quantize: fx.Node, ranges: Ranges, index: int) -> fx.Node:
    source = quantize_arguments(quantize)["input"]
    if stays_on_grid(quantize):
        return twin.values[source]
    bounds = None
    if is_activation(source):
        bounds = (0.0, float("inf")) if operator_name(source.target) == RELU else hardtanh_bounds(source)
        source = source.args[0]
    return twin.apply(ObservedQuantize(ranges, index, bounds), twin.values[source])


def _layer(
    twin: Translation, node: fx.Node, operations: dict[str, Operation], weights: Mapping[str, FloatWeight]
) -> _Layer:
    source: Any = node.args[1]
    if source.op != "call_function" or len(source.args) < 6:
        raise ProgramError(f"layer '{node.name}' has no per-channel weight; it cannot be trained")
    if operations[node.name].keywords or source.args[3] != 0 or bool(twin.tensor(source.args[2]).any()):
        raise ProgramError(
            f"layer '{node.name}' cannot be trained: its weight has to be symmetric by output channel (axis 0, zero "
            "points 0) and its arguments without keywords, as adaptation writes them"
        )
    stored: list[Any] = operations[source.name].arguments[:2]
    name, scale = (str(reference["tensor"]) for reference in stored)
    bounds = int(source.args[4]), int(source.args[5])
    real = twin.real_weight(source)
    start = weights.get(
        name.removesuffix(".weight"), FloatWeight(real, real.new_ones([len(real)] + [1] * (real.dim() - 1)))
    )
    rounded = twin.apply(RoundedWeight(start.weight, start.gain, bounds, twin.tensor(source.args[1])))
    bias, parameter, value = None, None, None
    if len(node.args) > 2 and node.args[2] is not None:
        reference: Any = operations[node.name].arguments[2]
        bias = str(reference["tensor"])
        value = twin.parameter(twin.tensor(node.args[2]))
        parameter = str(value.target)
    called: Any = node.target
    taken: Any = node.args[0]
    twin.values[node] = twin.call(called, twin.values[taken], rounded, value, *node.args[3:])
    return _Layer(name, scale, bias, str(rounded.target), parameter)
