"""Calibrated post-training quantization with torchao: the step that both ptq and qat start with."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, fx, nn

from edgerift.adapt._explained import require_explained
from edgerift.adapt._export import export, require_same
from edgerift.adapt._final_softmax import leave_out_final_softmax
from edgerift.adapt._histograms import search_in_numbers
from edgerift.adapt._nodes import arguments_of, attribute, place_of
from edgerift.adapt._normalisations import FOLDED
from edgerift.adapt._quantizers import quantizer, quantizer_passes
from edgerift.adapt._reductions import PRODUCT
from edgerift.adapt._same import is_same, require_repeatable
from edgerift.adapt._scales import lower_floors
from edgerift.adapt._ties import settle_scales
from edgerift.deploy import (
    FloatWeight,
    Normalisation,
    Program,
    Provenance,
    Target,
    from_graph,
    is_allowed,
    multiplies,
    operator_name,
    quiet,
    reads_integers,
)
from edgerift.errors import ModelError, QuantizationError
from edgerift.images import ImageShape

_BATCH_NORMALISATION = "aten.batch_norm.default"
#: The number of calibration images, and of random ones, used for the comparisons with the original.
_COMPARED: Final = 4
_WEIGHTED = (torch.ops.aten.conv1d.default, torch.ops.aten.conv2d.default, torch.ops.aten.linear.default)


class Converted(NamedTuple):
    """A calibrated program, and by layer the float weights that it was rounded from."""

    program: Program
    weights: dict[str, FloatWeight]


def quantize(
    model: nn.Module,
    batches: Iterable[Tensor],
    *,
    target: Target,
    classes: int,
    shape: ImageShape,
    provenance: Provenance,
) -> Converted:
    """Export, observe and convert a float model.

    `batches` are the calibration images, float32 in `[0,1]` of the shape that the model takes; the observers see each
    once. Raises :class:`~edgerift.errors.ModelError` for a model that does not return logits `[N,classes]` or is not
    deterministic, and :class:`~edgerift.errors.QuantizationError` for an operator that cannot be in a program or that
    multiplies and accumulates in float, and if the exported graph or a layer of the program deviates from the model by
    more than rounding.
    """
    remaining = iter(batches)
    first = next(remaining)
    images = torch.cat([first[:_COMPARED], _noise(shape)])
    graph = export(model, torch.zeros(2, *shape), target)
    _require_logits(graph, classes)
    require_repeatable(model, images)
    require_same(model, graph, images, target)
    leave_out_final_softmax(graph)
    graph.recompile()
    _require_allowed(graph, target)
    with quiet():
        reference = copy.deepcopy(graph)
    prepared = _prepared(graph, target)
    layers = layer_names(prepared)
    weights = _float_weights(model, prepared, layers, graph.meta.get(FOLDED, {}))
    converted = _calibrated(prepared, itertools.chain([first], remaining), target)
    _require_integers(converted, target)
    program = from_graph(
        converted,
        target=target,
        classes=classes,
        shape=shape,
        provenance=provenance,
        names=tensor_names(converted, layers),
    )
    require_explained(reference, program, first[:_COMPARED], layers)
    return Converted(program, weights)


def _noise(shape: ImageShape) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(_COMPARED, *shape, generator=generator)


def _prepared(graph: fx.GraphModule, target: Target) -> fx.GraphModule:
    """Put a target's observers into a graph."""
    chosen = quantizer(target)
    with quantizer_passes(target):
        from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e

        prepared: fx.GraphModule = prepare_pt2e(graph, chosen)
    return prepared


def _calibrated(prepared: fx.GraphModule, batches: Iterable[Tensor], target: Target) -> fx.GraphModule:
    with quiet(), torch.inference_mode():
        for batch in batches:
            prepared(batch)
    with quantizer_passes(target):
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

        search_in_numbers(prepared)
        lower_floors(prepared)
        settle_scales(prepared)
        converted: fx.GraphModule = convert_pt2e(prepared)
    return converted


def _require_logits(graph: fx.GraphModule, classes: int) -> None:
    """Refuse a model that does not return one tensor with one number per class."""
    output: Any = next(iter(reversed(graph.graph.nodes)))
    (answers,) = output.args
    values = list(answers) if isinstance(answers, (list, tuple)) else [answers]
    shapes = [tuple(value.meta["val"].shape) for value in values]
    if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][1] != classes:
        given = " and ".join(f"[{', '.join(['N', *map(str, shape[1:])])}]" for shape in shapes)
        raise ModelError(
            f"the model returns {given} for N images; with {classes} classes in the data it has to "
            f"return logits [N, {classes}]"
        )


def _require_allowed(graph: fx.GraphModule, target: Target) -> None:
    """Refuse operators that no program may hold, all of them in one line."""
    refused: dict[str, str] = {}
    for node in graph.graph.nodes:
        if node.op == "call_function":
            name = operator_name(node.target)
            if _follows_the_batch(node) or _draws(node) or not is_allowed(name):
                refused.setdefault(name, f"operator '{name}' ({place_of(node)})")
    if refused:
        raise QuantizationError(
            f"{', '.join(refused.values())} cannot be quantized for target '{target}'; "
            "replace it in the model by convolutions, linear layers, poolings and activations"
        )


def _follows_the_batch(node: fx.Node) -> bool:
    return operator_name(node.target) == _BATCH_NORMALISATION and bool(arguments_of(node)["training"])


def _draws(node: fx.Node) -> bool:
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def _require_integers(converted: fx.GraphModule, target: Target) -> None:
    """Refuse a graph with an operator that multiplies and accumulates in float."""
    for node in converted.graph.nodes:
        if node.op != "call_function" or not multiplies(operator_name(node.target)):
            continue
        # A matrix product of values on grids is exact in float; other operators have integer kernels for layers only.
        if node.target not in (*_WEIGHTED, PRODUCT) or not reads_integers(node):
            raise QuantizationError(
                f"operator '{operator_name(node.target)}' ({place_of(node)}) stays in float on target '{target}': "
                "its quantizer has no rule for it; replace it in the model by a convolution or a linear layer"
            )


def layer_names(prepared: fx.GraphModule) -> dict[str, str]:
    """Map each convolution's and linear layer's node to the layer's name in the user's model."""
    return {
        node.name: str(_weight_source(node).target).removesuffix(".weight").removesuffix("_weight")
        for node in prepared.graph.nodes
        if node.op == "call_function" and node.target in _WEIGHTED
    }


def _weight_source(node: fx.Node) -> fx.Node:
    weight: fx.Node = arguments_of(node)["weight"]
    while weight.op != "get_attr":
        if not weight.args or not isinstance(weight.args[0], fx.Node):
            raise QuantizationError(
                f"the weight of operator '{operator_name(node.target)}' ({place_of(node)}) is computed from the "
                "image; only stored weights can be quantized"
            )
        weight = weight.args[0]
    return weight


def _float_weights(
    model: nn.Module, prepared: fx.GraphModule, layers: dict[str, str], norms: Mapping[str, Normalisation | None]
) -> dict[str, FloatWeight]:
    """Split each folded weight into the model's own weight and the per-channel factor that folding put on it."""
    own = model.state_dict()
    buffers = {name for name, _ in prepared.named_buffers()}
    weights: dict[str, FloatWeight] = {}
    for node in prepared.graph.nodes:
        if node.name not in layers:
            continue
        layer, source = layers[node.name], str(_weight_source(node).target)
        if source in buffers:
            continue  # The weights of a pooling, which do not learn.
        folded = attribute(prepared, source).clone()
        weight = own.get(f"{layer}.weight", folded)
        if weight.shape != folded.shape:
            weight = folded
        flat, whole = weight.flatten(1), folded.flatten(1)
        gain = (flat * whole).sum(1) / flat.square().sum(1).clamp_min(torch.finfo(flat.dtype).tiny)
        norm = norms.get(source)
        if not is_same(whole, flat * gain[:, None]):  # As where a model standardises its weights.
            weight, gain, norm = folded, torch.ones_like(gain), None
        if norm is not None and not is_same(gain, norm.weight * torch.rsqrt(norm.variance + norm.eps)):
            norm = None  # What is left is not the normalisation's factor alone.
        weights[layer] = FloatWeight(weight.detach().clone(), gain.view([-1] + [1] * (folded.dim() - 1)), norm)
    return weights


def tensor_names(converted: fx.GraphModule, layers: dict[str, str]) -> dict[str, str]:
    """Name a converted graph's tensors after their layers: `LAYER.weight`, `.scale`, `.zero_point`, `.bias`."""
    names: dict[str, str] = {}
    for node in converted.graph.nodes:
        if node.name not in layers:
            continue
        layer, weight = layers[node.name], node.args[1]
        for kind, source in zip(("weight", "scale", "zero_point"), weight.args[:3], strict=False):
            names[str(source.target)] = f"{layer}.{kind}"
        if len(node.args) > 2 and node.args[2] is not None:
            names[str(node.args[2].target)] = f"{layer}.bias"
    return names
