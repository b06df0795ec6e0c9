"""Twins in which one layer is restored to float, to isolate the effect of its quantization."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

from torch import Tensor, fx

from edgerift.deploy.program._grid import is_quantize
from edgerift.deploy.program._layers import is_layer
from edgerift.deploy.program._program import Program
from edgerift.deploy.program._regions import is_activation
from edgerift.deploy.program._spelling import read_program
from edgerift.deploy.twins._twin import Twin
from edgerift.deploy.twins._twin_graph import graph_twin
from edgerift.errors import RecipeError, unknown_name

#: The largest distance of a weight from its level, in scales: a half, plus a margin for float32.
_HALF: Final = 0.501


class _Layer(NamedTuple):
    """Where a quantized layer stands: its name, its weight's node, and the quantize nodes that round its result."""

    name: str
    weight: fx.Node
    written: tuple[str, ...]


def layers(program: Program) -> tuple[str, ...]:
    """Name the quantized convolutions and linear layers of a program, in its order; `NAME.weight` is its weight."""
    return tuple(dict.fromkeys(layer.name for layer in _find(program)))


def restored_twin(program: Program, layer: str, original_weights: Mapping[str, Tensor] | None = None) -> Twin:
    """Make the twin of a program with graph arithmetic in which one layer is restored to float.

    What the layer writes is neither rounded nor clipped, beyond what its own activation (a ReLU) clips. The rounding
    of its weight is left out too where `original_weights[layer]` is given and really is that weight before rounding:
    each element within half a scale of its level. Sums and concatenations behind the layer round as before.

    Raises :class:`~edgerift.errors.RecipeError` for a layer that :func:`layers` does not name.
    """
    known = layers(program)
    if layer not in known:
        raise RecipeError(unknown_name("layer", layer, known))
    return restore(program, [layer], original_weights)


def unrounded_twin(program: Program) -> Twin:
    """Make the twin of a program that neither rounds nor clips any activation: its quantized weights, in float.

    It is the smooth function that the program's answers approximate: its gradients are what integer arithmetic masks.
    """
    names = {node.name for node in read_program(program).graph.nodes if is_quantize(node)}
    return Twin(graph_twin(program, names), "graph", program.shape.channels)


def restore(program: Program, names: Collection[str], original_weights: Mapping[str, Tensor] | None = None) -> Twin:
    """Make the twin in which several layers are restored to float; see :func:`restored_twin`."""
    chosen = [layer for layer in _find(program) if layer.name in names]
    weights = {
        layer.weight.name: original_weights[layer.name].detach().cpu().float().clone()
        for layer in chosen
        if original_weights is not None and _is_before_rounding(program, layer.name, original_weights)
    }
    unrounded = {name for layer in chosen for name in layer.written}
    return Twin(graph_twin(program, unrounded, weights), "graph", program.shape.channels)


def _find(program: Program) -> Iterator[_Layer]:
    operations = {operation.name: operation for operation in program.operations}
    for node in read_program(program).graph.nodes:
        if is_layer(node):
            weight: Any = node.args[1]
            tensor: Any = operations[weight.name].arguments[0]
            name = str(tensor["tensor"]).removesuffix(".weight")
            yield _Layer(name, weight, tuple(quantize.name for quantize in _roundings(node)))


def _roundings(layer: fx.Node) -> Iterator[fx.Node]:
    for user in layer.users:
        for reader in user.users if is_activation(user) else [user]:
            if is_quantize(reader):
                yield reader


def _is_before_rounding(program: Program, name: str, original_weights: Mapping[str, Tensor]) -> bool:
    original = original_weights.get(name)
    stored = [program.tensors.get(f"{name}.{part}") for part in ("weight", "scale", "zero_point")]
    if original is None or any(tensor is None for tensor in stored):
        return False
    levels, scale, zero_point = (tensor.double() for tensor in stored if tensor is not None)
    if original.shape != levels.shape:
        return False
    shape = [-1] + [1] * (levels.dim() - 1)
    distance = original.cpu().double() / scale.view(shape) - (levels - zero_point.view(shape))
    return bool(distance.abs().le(_HALF).all())
