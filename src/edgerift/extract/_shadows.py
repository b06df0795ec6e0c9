"""Shadow models: networks of the attacker's own that show what a known defence does to answers like the victim's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from edgerift.defend import Defence, LabelOnly, defended
from edgerift.deploy import twin_scores
from edgerift.extract._inversion import Pairs
from edgerift.images import ImageSet

Trains = Callable[[ImageSet, Tensor, int], nn.Module]
"""Trains a new network on images and answers float32 `[N,K]`, drawn by a number."""


def shadow_pairs(
    questions: ImageSet, answers: Tensor, defences: Sequence[Defence], count: int, seed: int, trains: Trains
) -> Pairs:
    """Make pairs of posteriors with `count` shadow models, from what a victim has answered.

    Each learns the labels of the answers to one half of the images, drawn by the seed, and is queried about the other;
    the defences are applied to what it says there, with the images that a defence may look at (D-DAE, Chen et al.
    2023, arXiv:2302.11672).
    """
    labels, half = LabelOnly()(answers), len(questions) // 2
    generator, parts = torch.Generator().manual_seed(seed), list[Pairs]()
    for number in range(count):
        order = torch.randperm(len(questions), generator=generator)
        learned, shown = order[:half], order[half:]
        shadow = trains(questions.select(learned), labels[learned], number)
        images = questions.images[shown]
        clean = twin_scores(shadow, images).float().softmax(1)
        parts.append(Pairs(clean, defended(clean, defences, images)))
    return Pairs(torch.cat([part.clean for part in parts]), torch.cat([part.changed for part in parts]))
