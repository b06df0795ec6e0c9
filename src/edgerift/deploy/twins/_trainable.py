"""The trainable twin: a program's graph with float weights, rounded again at each step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, fx, nn

from edgerift.deploy.program._encoding import Json
from edgerift.deploy.program._grid import grid_of, is_dequantize, is_quantize, quantize_arguments
from edgerift.deploy.program._operators import DEQUANTIZE, QUANTIZE, RELU, WEIGHTED, operator_name
from edgerift.deploy.program._program import Operation, Program
from edgerift.deploy.program._regions import hardtanh_bounds, is_activation
from edgerift.deploy.program._target import WHOLE_WEIGHTS
from edgerift.deploy.twins._body import Body
from edgerift.deploy.twins._groups import grid_groups
from edgerift.deploy.twins._normalised_layer import Normalisation, NormalisedLayer
from edgerift.deploy.twins._rounded_weights import RoundedWeight
from edgerift.deploy.twins._running_ranges import ObservedQuantize, Ranges
from edgerift.deploy.twins._translation import Translation
from edgerift.deploy.twins._twin_graph import stays_on_grid
from edgerift.errors import ProgramError
from edgerift.images import in_channels


class FloatWeight(NamedTuple):
    """A layer's float weight `[C,...]` before batch normalisation was folded in, and the factor `[C,1,...]` of that.

    `norm` is that batch normalisation, None where there was none or its figures are to stay as they are.
    """

    weight: Tensor
    gain: Tensor
    norm: Normalisation | None = None


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
    """A program that learns: images float32 `[N,C,H,W]` in `[0,1]` to logits `[N,K]`, with float weights as parameters.

    Each forward pass rounds weights and activations as the converted program would, so that training sees the
    quantization that is deployed. In training mode the activations' ranges follow the batches while `ranges.observing`,
    and batch normalisations that were given as such do while they are kept alive, which they are at first.
    """

    def __init__(self, program: Program, weights: Mapping[str, FloatWeight] | None = None) -> None:
        """See :func:`trainable_twin`."""
        super().__init__()
        self.program_before = program
        self.image_channels = program.shape.channels
        self.ranges, self.groups = _initial_ranges(program)
        self.layers: list[_Layer] = []
        self.body = _translate(program, self.ranges, self.groups, self.layers, weights or {})

    def forward(self, images: Tensor) -> Tensor:
        """Compute the logits `[N,K]` of images `[N,C,H,W]` in `[0,1]`; the one channel of grey ones is repeated."""
        # The grids follow from the ranges alone, so that a run which resumes from a checkpoint has the same ones.
        self.ranges.refresh()
        images = in_channels(images, self.image_channels)
        logits: Tensor = self.body(images.contiguous(memory_format=torch.channels_last))
        return logits

    def program(self) -> Program:
        """Convert to a program: integer weights from the float ones, grids from the ranges."""
        self.ranges.refresh()
        tensors: dict[str, Tensor] = {}
        for layer in self.layers:
            rounded = self._rounded(layer)
            levels, scales = rounded.integers()
            kind = self.program_before.tensors[layer.weight].dtype
            tensors[layer.weight] = levels.to(kind).contiguous()
            tensors[layer.scale] = scales.to(self.program_before.tensors[layer.scale].dtype)
            if layer.bias is not None and isinstance(rounded, NormalisedLayer):
                tensors[layer.bias] = rounded.bias()
            elif layer.bias is not None and layer.parameter is not None:
                tensors[layer.bias] = self.body.get_parameter(layer.parameter).detach().cpu().clone()
        operations = tuple(self._regridded(operation) for operation in self.program_before.operations)
        return replace(self.program_before.with_tensors(tensors), operations=operations)

    def weights(self) -> dict[str, nn.Parameter]:
        """Name the float weights by their layers; each is rounded after the factor that folding put on it."""
        return {layer.weight.removesuffix(".weight"): self._rounded(layer).weight for layer in self.layers}

    def _rounded(self, layer: _Layer) -> RoundedWeight | NormalisedLayer:
        rounded = self.body.get_submodule(layer.module)
        assert isinstance(rounded, RoundedWeight | NormalisedLayer)
        return rounded

    def keep_normalisations_alive(self, alive: bool) -> None:
        """Let batch normalisations follow the batches in training mode, or fix their figures as they are."""
        for part in self.body.modules():
            if isinstance(part, NormalisedLayer):
                part.alive = alive

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
    for node in twin.source.graph.nodes:
        if is_quantize(node):
            twin.values[node] = _observed(twin, node, ranges, groups[node.name])
        elif is_dequantize(node):
            constant = twin.stored_levels(node)
            real = None if constant is None else twin.constant(constant * grid_of(node).scale)
            twin.values[node] = real or twin.values[node.args[0]]
        elif node.op == "call_function" and operator_name(node.target) in WEIGHTED:
            layers.append(_layer(twin, node, program, weights))
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


def _layer(twin: Translation, node: fx.Node, program: Program, weights: Mapping[str, FloatWeight]) -> _Layer:
    operations = {operation.name: operation for operation in program.operations}
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
    called: Any = node.target
    taken: Any = node.args[0]
    bias, parameter, value = None, None, None
    if len(node.args) > 2 and node.args[2] is not None:
        reference: Any = operations[node.name].arguments[2]
        bias = str(reference["tensor"])
    scales, whole = twin.tensor(source.args[1]), program.target in WHOLE_WEIGHTS
    if start.norm is not None and bias is not None:
        fused = NormalisedLayer(start.weight, start.norm, bounds, scales, called, node.args[3:], whole=whole)
        twin.values[node] = twin.apply(fused, twin.values[taken])
        return _Layer(name, scale, bias, str(twin.values[node].target), None)
    rounded = twin.apply(RoundedWeight(start.weight, start.gain, bounds, scales, whole=whole))
    if bias is not None:
        value = twin.parameter(twin.tensor(node.args[2]))
        parameter = str(value.target)
    twin.values[node] = twin.call(called, twin.values[taken], rounded, value, *node.args[3:])
    return _Layer(name, scale, bias, str(rounded.target), parameter)
