"""The last word on what a search found: the true original, and the build alone on each success, from its PNG file."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from edgerift.evade._aim import is_fooled
from edgerift.evade._attack import Attack
from edgerift.evade._engine import Trace
from edgerift.evade._evasion import Evasion
from edgerift.evade._files import from_png
from edgerift.evade._judge import finite, guard_of, is_evasive
from edgerift.evade._pair import Precision, Victim
from edgerift.evade._selection import Selection
from edgerift.images import ImageSet


def verified(
    victim: Victim, image_set: ImageSet, chosen: Selection, attack: Attack, trace: Trace, *, precision: Precision
) -> Evasion:
    """Judge the candidates once more by the true original, and each success by the build, alone, from its PNG file."""
    images, labels = image_set.images[chosen.index], image_set.labels[chosen.index]
    last, guard = trace.last, guard_of(victim)
    reread = _reread(victim, trace.found, labels, chosen, trace.first >= 0, attack)
    found, original, build = reread.images, reread.original, reread.build
    last_original, last_build = original.clone(), build.clone()
    changed = (last != found).flatten(1).any(1).nonzero()[:, 0]
    if len(changed):
        last_original[changed], last_build[changed] = _scores(victim, last[changed], labels[changed])
    evasive = reread.claimed & is_evasive(original, build, labels, attack, guard)
    return Evasion(
        attack=attack,
        data=image_set.name,
        classes=image_set.classes,
        dropped=chosen.dropped,
        index=chosen.index,
        labels=labels,
        clean=images,
        images=found,
        last=last,
        clean_original=chosen.original,
        clean_build=chosen.build,
        original=original,
        build=build,
        last_original=last_original,
        last_build=last_build,
        evasive=evasive,
        void=reread.claimed & ~evasive,
        fooled=trace.fooled | is_fooled(build, labels, guard) | is_fooled(last_build, labels, guard),
        first=torch.where(evasive, torch.where(trace.first < 0, trace.gradient_calls, trace.first), -1),
        gradient_calls=trace.gradient_calls,
        build_questions=trace.build_questions,
        original_questions=trace.original_questions,
        zero_gradients=trace.zero_gradients,
        guard=guard,
        precision=precision,
    )


class _Reread(NamedTuple):
    """Candidates as their files hold them, both models' logits, and which are said to evade: bool `[N]`."""

    images: Tensor
    original: Tensor
    build: Tensor
    claimed: Tensor


def _reread(
    victim: Victim, found: Tensor, labels: Tensor, chosen: Selection, claimed: Tensor, attack: Attack
) -> _Reread:
    """Judge candidates: those that are `claimed` to evade, or turn out to, by the build alone and from their files."""
    if len(found) == 0:
        return _Reread(found, chosen.original, chosen.build, claimed)
    decoded = found.clone()
    for row in claimed.nonzero()[:, 0].tolist():
        decoded[row] = from_png(found[row])
    original = finite(victim.original_scores(decoded), "original")
    build = torch.zeros_like(original)
    others = (~claimed).nonzero()[:, 0]
    if len(others):
        build[others] = finite(victim.build_scores(decoded[others], labels[others]), "build")
        evades = is_evasive(original[others], build[others], labels[others], attack, guard_of(victim))
        claimed = claimed.index_fill(0, others[evades], True)
    for row in claimed.nonzero()[:, 0].tolist():
        one = slice(row, row + 1)
        build[one] = finite(victim.build_scores(decoded[one], labels[one]), "build")
    return _Reread(decoded, original, build, claimed)


def _scores(victim: Victim, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    return finite(victim.original_scores(images), "original"), finite(victim.build_scores(images, labels), "build")
