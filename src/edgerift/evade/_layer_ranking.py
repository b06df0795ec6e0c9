"""Which layer's quantization opens the rift: the layers of a program, by what restoring each one fixes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from edgerift.deploy import Program, layers, restored_twin, twin, twin_scores
from edgerift.measure import Rate
from edgerift.steps import Progress, silent


@dataclass(frozen=True, slots=True)
class LayerEffect:
    """One layer back in float: the share of the twin's wrong answers that this makes right."""

    layer: str
    healed: Rate


def rank_layers(
    program: Program,
    images: Tensor,
    labels: Tensor,
    original_weights: Mapping[str, Tensor] | None = None,
    progress: Progress = silent,
) -> tuple[LayerEffect, ...]:
    """Rank the quantized layers of a program by the wrong answers that each one's return to float makes right.

    Asked are the images (uint8 `[N,C,H,W]`, labels int64 `[N]`) that the program's twin with graph arithmetic gets
    wrong, of every layer the same; see :func:`edgerift.deploy.restored_twin` for what is restored, and for
    `original_weights`. The most healing layer comes first, equal ones in the program's order. The answer is empty when
    the twin gets no image wrong.
    """
    wrong = twin_scores(twin(program), images).argmax(1) != labels if len(images) else labels.bool()
    if not wrong.any():
        return ()
    asked, truth = images[wrong], labels[wrong]
    effects = []
    names = layers(program)
    for done, name in enumerate(names):
        progress("rank layers", done, len(names), name)
        scores = twin_scores(restored_twin(program, name, original_weights), asked)
        effects.append(LayerEffect(name, Rate(int((scores.argmax(1) == truth).sum()), len(truth))))
    progress("rank layers", len(names), len(names))
    return tuple(sorted(effects, key=lambda effect: -effect.healed.successes))
