"""From a float model to a graph that a quantizer understands: exported, in inference form, with a free batch size."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import TypeAlias

import torch
from torch import Tensor, fx, nn

from edgerift.adapt._attention import (
    spell_attention_as_products,
    spell_means_as_sums,
    spell_softmax_as_exponentials,
)
from edgerift.adapt._clamps import spell_clamps_alike
from edgerift.adapt._constants import compute_constants, drop_expansions
from edgerift.adapt._normalisations import fold_normalisations
from edgerift.adapt._paddings import spell_borders_as_pieces, spell_paddings_as_numbers
from edgerift.adapt._poolings import (
    spell_means_as_poolings,
    spell_poolings_plainly,
    turn_odd_divisors_into_convolutions,
    turn_poolings_into_convolutions,
)
from edgerift.adapt._same import is_same, largest, logits_of
from edgerift.adapt._sums import spell_sums_with_numbers_as_differences
from edgerift.adapt._synonyms import enter_regions, spell_synonyms
from edgerift.adapt._targets import kind_of
from edgerift.adapt._writes import drop_dropouts, drop_what_does_nothing, leave_no_writes, untie_layers
from edgerift.deploy import Target, quiet
from edgerift.errors import ModelError, QuantizationError, first_line
from edgerift.zoo import Classifier

_Pass: TypeAlias = Callable[[fx.GraphModule], None]


def export(model: nn.Module, example: Tensor, target: Target, *, training: bool = False) -> fx.GraphModule:
    """Export a model as a graph of PyTorch's core operators, in inference form unless `training`.

    `example` is float32 `[N,C,H,W]` in `[0,1]` with N of at least 2; the batch size of the graph is free. In-place
    operators are replaced by functional ones, and no-ops are removed, dropout among them. Operators without a rule in
    the target's quantizer get an equivalent form that can run in integers: every clamp by constants becomes a
    ReLU or a hardtanh, a padding with the image's own pixels a concatenation, a batch normalisation a part of its layer
    or a 1x1 depthwise convolution, a mean over height and width a pooling, and for `mobile` an average pooling without
    padding a depthwise convolution with equal weights, for `server` a sum with a number a difference. Raises
    :class:`~edgerift.errors.ModelError` when the model cannot be exported.
    """
    graph = _traced(model, example, target, training)
    for rewrite in _passes(target, training):
        rewrite(graph)
    graph.recompile()
    return graph


def traced(model: nn.Module, example: Tensor, target: Target) -> fx.GraphModule:
    """Export a model in inference form with the operators that it computes with: functional, and without no-ops.

    `example` is as for :func:`export`. Raises :class:`~edgerift.errors.ModelError` when the model cannot be exported.
    """
    graph = _traced(model, example, target, training=False)
    for rewrite in (enter_regions, drop_what_does_nothing, leave_no_writes):
        rewrite(graph)
    graph.recompile()
    return graph


def require_same(model: nn.Module, graph: fx.GraphModule, images: Tensor, target: Target) -> None:
    """Check that an exported graph gives the answers of its model, in evaluation mode, on images float32 `[N,C,H,W]`.

    Raises :class:`~edgerift.errors.QuantizationError`, which names the step of the export that changed the answers,
    if they differ by more than the rounding of float32.
    """
    with torch.no_grad():
        expected, answers = logits_of(model(images)), logits_of(graph(images))
        if is_same(expected, answers) or _is_same_in_double(model, graph, images):
            return
        steps = ((step, logits_of(partial(images))) for step, partial in _step_by_step(model, images[:2], target))
        step, moved = next((entry for entry in steps if not is_same(expected, entry[1])), ("export", answers))
    apart = f"by up to {largest(moved - expected):.3g}" if moved.shape == expected.shape else "in their shape"
    raise QuantizationError(
        f"model '{_name(model)}' gives other answers once it is rewritten for target '{target}': the step '{step}' "
        f"changes scores {apart}, where the largest is {largest(expected):.3g}; write that part of the model with "
        "other operators"
    )


def _is_same_in_double(model: nn.Module, graph: fx.GraphModule, images: Tensor) -> bool:
    """Return whether the answers agree in float64: a network may amplify the last bits of float32 beyond any bound."""
    with quiet():
        doubled = [copy.deepcopy(part).double() for part in (model, graph)]
    try:
        expected, answers = (logits_of(part(images.double())) for part in doubled)
    except Exception:  # Its code asks for float32.
        return False
    return is_same(expected, answers)


def _step_by_step(model: nn.Module, example: Tensor, target: Target) -> Iterator[tuple[str, fx.GraphModule]]:
    graph = _traced(model, example, target, training=False)
    yield "torch.export", graph
    for rewrite in _passes(target, training=False):
        rewrite(graph)
        graph.recompile()
        yield rewrite.__name__.replace("_", " "), graph


def _passes(target: Target, training: bool) -> list[_Pass]:
    passes: list[_Pass] = [
        enter_regions,
        *([drop_dropouts] if training else []),
        drop_what_does_nothing,
        leave_no_writes,
        *([] if training else [compute_constants]),
        spell_synonyms,
        drop_expansions,
        untie_layers,
        spell_paddings_as_numbers,
        spell_borders_as_pieces,
        spell_clamps_alike,
        spell_means_as_poolings,
        spell_means_as_sums,
        spell_attention_as_products,
        spell_softmax_as_exponentials,
        spell_poolings_plainly,
        *([spell_sums_with_numbers_as_differences] if kind_of(target) == "server" else []),
    ]
    if training:
        return passes
    poolings = turn_poolings_into_convolutions if kind_of(target) == "mobile" else turn_odd_divisors_into_convolutions
    return [*passes, poolings, fold_normalisations]


def _traced(model: nn.Module, example: Tensor, target: Target, training: bool) -> fx.GraphModule:
    model = model.train(training)
    batch = torch.export.Dim("batch", min=1, max=65536)
    try:
        with quiet():
            # X86InductorQuantizer matches partitions that only strict export leaves whole.
            exported = torch.export.export(
                model, (example,), dynamic_shapes=({0: batch},), strict=kind_of(target) == "server"
            )
            graph = exported.module(check_guards=False)
    except Exception as error:
        raise ModelError(f"model '{_name(model)}' cannot be exported: {_reason(error)}") from error
    assert isinstance(graph, fx.GraphModule)
    return graph


def _name(model: nn.Module) -> str:
    return model.architecture.name if isinstance(model, Classifier) else type(model).__name__


def _reason(error: Exception) -> str:
    told = first_line(error)
    if told.startswith("Constraints violated (batch)"):
        return "its code fixes the batch size; write images.shape[0] where it says len(images) or a number"
    if "ScriptModule" in told:
        return "what was scripted or traced cannot be quantized; give the nn.Module that it was made from"
    return f"{told}; torch.export must be able to trace it: no branch on the values of the images"
