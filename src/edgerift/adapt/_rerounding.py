"""Roundings chosen by a loss: learnt up or down layer by layer, so that what a layer computes stays what it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, final

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, fx, nn

from edgerift.adapt._methods import float_weights
from edgerift.adapt._nodes import LAYERS, arguments_of
from edgerift.deploy import Program, StoredLayer, stored_layers
from edgerift.images import ImageSet, in_channels, to_float
from edgerift.settings import BatchSize, Count, Seed, Settings, Times
from edgerift.steps import Progress, silent

#: The ends to which the sigmoid of a rounding is stretched before it is cut to [0, 1].
_LOW, _HIGH = -0.1, 1.1
_SURE: Final = 1e-6


class RoundingSettings(Settings):
    """How roundings are learnt: on `images` training images, in `steps` steps of Adam for each layer.

    The loss is the squared error of the layer's output, over that of rounding to the nearest, plus `flip` times the
    mean over the weights of |r| times the cross-entropy that asks for the other neighbour, r being the truncation error
    in steps, plus `decide` times the mean of 1 - (2h - 1)^2 for a rounding h in [0, 1]. With `flip` 0 this is AdaRound;
    with more, the roundings with the largest truncation errors are flipped, as EFRAP does.
    """

    images: Count = 256
    batch_size: BatchSize = 32
    steps: Times = 300
    learning_rate: float = Field(0.02, gt=0)
    flip: float = Field(0.1, ge=0)
    decide: float = Field(0.1, ge=0)
    seed: Seed = 0


def reround(
    original: nn.Module,
    program: Program,
    train: ImageSet,
    *,
    settings: RoundingSettings | None = None,
    progress: Progress = silent,
) -> Program:
    """Choose the roundings of a program's weights anew, by training images and the original's float weights.

    Each code becomes one of the two neighbours of its weight; scales, biases and the graph stay what they are. Layers
    are treated in order, each on what the layers before it compute with their new codes. Sources: AdaRound (Nagel et
    al. 2020, arXiv:2004.10568) and EFRAP (Li et al. 2024, arXiv:2405.12725).

    Raises :class:`~edgerift.errors.InputError` without images, and what :func:`ptq` raises for the original.
    """
    chosen = settings or RoundingSettings()
    weights = float_weights(original, program)
    generator = torch.Generator().manual_seed(chosen.seed)
    rows = torch.randperm(len(train), generator=generator)[: chosen.images]
    images = in_channels(to_float(train.images[rows]), program.shape.channels)
    layers = [layer for layer in stored_layers(program) if layer.scale is not None and layer.name in weights]
    for done, layer in enumerate(layers):
        progress("choose roundings", done, len(layers), layer.name)
        call = _called(program, layer.name, images)
        codes = _Rounding(layer, weights[layer.name].double()).learnt(call, chosen, generator)
        name = f"{layer.name}.weight"
        program = program.with_tensors({name: codes.to(program.tensors[name].dtype)})
    progress("choose roundings", len(layers), len(layers), "")
    told = {**program.provenance.settings, "rounding": chosen.model_dump(mode="json")}
    return replace(program, provenance=program.provenance.replace(settings=told))


@dataclass(frozen=True)
class _Call:
    """A layer's operator, its inputs `[N,...]`, and its arguments after the weight and the bias."""

    operator: Any
    inputs: Tensor
    others: tuple[Any, ...]

    def __call__(self, rows: Tensor, weight: Tensor) -> Tensor:
        outputs: Tensor = self.operator(self.inputs[rows], weight, None, *self.others)
        return outputs


class _FoundError(Exception):
    """The inputs of the wanted layer are there; the rest of the graph need not run."""


class _Reader(fx.Interpreter):
    """Runs a graph up to one node, and keeps what that gets as its input."""

    def __init__(self, module: fx.GraphModule, wanted: fx.Node) -> None:
        super().__init__(module)
        self.wanted, self.found = wanted, torch.empty(0)

    def run_node(self, node: fx.Node) -> Any:
        if node is self.wanted:
            inputs: Any = node.args[0]
            self.found = self.env[inputs]
            raise _FoundError
        return super().run_node(node)


@torch.no_grad()
def _called(program: Program, layer: str, images: Tensor) -> _Call:
    module = program.module()
    (node,) = (node for node, name in _layer_nodes(program, module) if name == layer)
    reader = _Reader(module, node)
    with suppress(_FoundError):
        reader.run(images)
    return _Call(node.target, reader.found.clone(), tuple(node.args[3:]))


def _layer_nodes(program: Program, module: fx.GraphModule) -> Iterator[tuple[fx.Node, str]]:
    operations = {operation.name: operation for operation in program.operations}
    for node in module.graph.nodes:
        if node.op == "call_function" and node.target in LAYERS:
            weight = arguments_of(node)["weight"]
            stored: Any = operations[weight.name].arguments[0] if weight.name in operations else None
            if isinstance(stored, dict) and "tensor" in stored:
                yield node, str(stored["tensor"]).removesuffix(".weight")


@final
class _Rounding:
    """The roundings of one layer: `below` is the lower neighbour of each weight, `part` how far above it it lies."""

    def __init__(self, layer: StoredLayer, weight: Tensor) -> None:
        assert layer.scale is not None
        assert layer.zero_point is not None
        self._layer, self._zero = layer, layer.zero_point
        self._scale = layer.scale.float()
        levels = (weight.reshape(layer.codes.shape) / layer.scale).clamp(
            layer.low - self._zero.double(), layer.high - self._zero.double()
        )
        self._levels = levels.float()
        self._below = levels.floor().float()
        self._part = (levels - levels.floor()).float()
        nearest = (self._part >= 0.5).float()
        self._error = (self._part - nearest).abs()
        self._reversed = 1 - nearest

    def learnt(self, call: _Call, settings: RoundingSettings, generator: torch.Generator) -> Tensor:
        """Learn them, and return the codes, int64."""
        stretched = (self._part - _LOW) / (_HIGH - _LOW)
        raw = (stretched / (1 - stretched)).log().requires_grad_(True)
        optimiser = torch.optim.Adam([raw], settings.learning_rate)
        usual = self._usual(call)
        for _ in range(settings.steps):
            rows = torch.randint(len(call.inputs), (settings.batch_size,), generator=generator)
            up = (raw.sigmoid() * (_HIGH - _LOW) + _LOW).clamp(0, 1)
            wrong = call(rows, (self._below + up - self._levels) * self._scale)
            loss = wrong.square().mean() / usual + settings.flip * self._flips(up)
            loss = loss + settings.decide * (1 - (2 * up - 1).square()).mean()
            optimiser.zero_grad()
            torch.autograd.backward(loss, inputs=[raw])
            optimiser.step()
        whole = self._below + (raw.detach() >= 0) * (self._part > 0)
        codes = whole.long() + self._zero
        return codes.clamp(self._layer.low, self._layer.high)

    def _flips(self, up: Tensor) -> Tensor:
        asked = F.binary_cross_entropy(up.clamp(_SURE, 1 - _SURE), self._reversed, reduction="none")
        return (self._error * asked).mean()

    @torch.no_grad()
    def _usual(self, call: _Call) -> Tensor:
        """The mean squared error of the output when each weight goes to the nearest code."""
        nearest = (1 - self._reversed + self._below - self._levels) * self._scale
        rows = torch.arange(min(len(call.inputs), 64))
        return call(rows, nearest).square().mean().clamp_min(1e-20)
