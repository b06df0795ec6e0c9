"""The threat of theft: thieves who ask the build alone, and what their clones took."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import torch

from edgerift.audit._document_pair import FlagPart
from edgerift.audit._document_theft import TheftPart
from edgerift.audit._opened import Opened
from edgerift.audit._stages import Stages
from edgerift.extract import ExtractRecipe, Knockoff, QuerySettings, Theft
from edgerift.settings import Count, Settings


class TheftSettings(Settings):
    """How one thief steals the build: what he asks about, how many images he pays for, and how he trains his clone."""

    queries: QuerySettings
    budget: Count = 50_000
    attack: Knockoff = Knockoff()


def theft_part(thefts: Mapping[str, ExtractRecipe], opened: Opened, stages: Stages) -> TheftPart:
    """Let every thief steal the build."""
    thieves = {
        name: stages.timed(f"theft {name}", functools.partial(theft.theft, opened.store, opened.progress))
        for name, theft in thefts.items()
    }
    labels = opened.test.labels
    return summarised(thieves, int(torch.bincount(labels).max()) / len(labels))


def summarised(thieves: Mapping[str, Theft], chance: float) -> TheftPart:
    """Name the strongest thief and run the checks; of equally strong ones the first is named."""
    strongest = min(thieves, key=lambda name: thieves[name].disagreement.value)
    flags = (_learned(strongest, thieves[strongest], chance), _asked(thieves))
    return TheftPart(thieves=dict(thieves), strongest=strongest, chance=chance, flags=flags)


def _learned(name: str, theft: Theft, chance: float) -> FlagPart:
    """See whether any clone learned something: a thief who cannot train makes every build look safe."""
    agreement = 1 - theft.disagreement.value
    # The lower end of the agreement's interval is what the upper end of the disagreement's leaves.
    learned = 1 - theft.disagreement.high > chance
    return FlagPart(
        name="clone",
        level="ok" if learned else "warning",
        seen=f"the most faithful clone, of thief {name}, agrees with the build on {agreement:.1%} of the images; "
        f"one class for all of them is right on {chance:.1%}",
        meaning="a clone that learned nothing says nothing about the build, unless a defence kept it from learning",
        action="raise --thief-epochs or --budget, or ask about other images with --queries",
    )


def _asked(thieves: Mapping[str, Theft]) -> FlagPart:
    """See whether the budget could be spent."""
    short = {name: theft for name, theft in thieves.items() if theft.spent < theft.budget}
    counts = "; ".join(f"{name} asked about {part.spent:,} of {part.budget:,} images" for name, part in thieves.items())
    return FlagPart(
        name="questions",
        level="note" if short else "ok",
        seen=counts,
        meaning="a query set that is smaller than the budget leaves a part of it unspent; a thief may have more images",
        action="ask about a larger set, or about --queries collages" if short else "none",
    )
