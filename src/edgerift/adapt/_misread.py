"""Whether an original knows its images only by another specification."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from edgerift import zoo
from edgerift.deploy import twin_scores
from edgerift.images import ImageSet
from edgerift.measure import Rate, accuracy, is_far_below, is_near_chance
from edgerift.specification import Explanation, Specification, SpecifiedModule, explain

#: Enough to tell an accuracy near chance from another, few enough for a large network on a CPU.
_ASKED: Final = 128


def misread(original: zoo.Classifier, images: ImageSet, other: Rate | None = None) -> Explanation | None:
    """Find out why an original from weights hardly knows labelled images: by a wrong specification.

    Asks about 128 images at most and returns the usual specification with which the original is clearly better; None
    where its accuracy is neither near chance nor far below that of the `other` model, if one is given, where none is
    better, or the original is one of edgerift's own. See :func:`edgerift.specification.explain`.
    """
    given = original.architecture.specification
    if given is None or not isinstance(original.body, SpecifiedModule):
        return None
    chosen = images.select(torch.linspace(0, len(images) - 1, min(len(images), _ASKED)).long())
    module = original.body.module

    def ask(by: Specification) -> Tensor:
        return twin_scores(SpecifiedModule(module, by, original.architecture.name).eval(), chosen.images)

    # Logits and probabilities have the same order.
    used = given.replace(output=given.output.replace(kind=None))
    counts = torch.bincount(chosen.labels, minlength=len(images.classes))
    reached = accuracy(ask(used), chosen.labels)
    is_chance = is_near_chance(reached, Rate(int(counts.max()), len(chosen)), len(counts))
    if not is_chance and (other is None or not is_far_below(reached, other, len(counts))):
        return None
    return explain(ask, chosen.labels, used)
