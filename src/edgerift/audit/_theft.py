"""The threat of theft: attackers that only query the build, and what their clones took."""

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
    """How one attacker steals the build: the queries, the budget, and the training of the clone."""

    queries: QuerySettings
    budget: Count = 50_000
    attack: Knockoff = Knockoff()


def theft_part(thefts: Mapping[str, ExtractRecipe], opened: Opened, stages: Stages) -> TheftPart:
    """Let every attacker steal the build."""
    thieves = {
        name: stages.timed(f"theft {name}", functools.partial(theft.theft, opened.store, opened.progress))
        for name, theft in thefts.items()
    }
    labels = opened.test.labels
    return summarised(thieves, int(torch.bincount(labels).max()) / len(labels))


def summarised(thieves: Mapping[str, Theft], chance: float) -> TheftPart:
    """Name the strongest attacker and run the checks; of equally strong ones the first is named."""
    strongest = min(thieves, key=lambda name: thieves[name].disagreement.value)
    flags = (_learned(strongest, thieves[strongest], chance), _asked(thieves))
    return TheftPart(thieves=dict(thieves), strongest=strongest, chance=chance, flags=flags)


def _learned(name: str, theft: Theft, chance: float) -> FlagPart:
    """See whether any clone learned something: an attacker that cannot train makes every build look safe."""
    agreement = 1 - theft.disagreement.value
    # The lower bound of the agreement is 1 minus the upper bound of the disagreement.
    learned = 1 - theft.disagreement.high > chance
    return FlagPart(
        name="clone",
        level="ok" if learned else "warning",
        seen=f"the most faithful clone, '{name}', agrees with the build on {agreement:.1%} of the images; "
        f"always predicting one class reaches {chance:.1%}",
        meaning="a clone that learned nothing says nothing about the build, unless a defence prevented it",
        action="raise --clone-epochs or --budget, or query other images with --queries",
    )


def _asked(thieves: Mapping[str, Theft]) -> FlagPart:
    """See whether the budget could be spent."""
    short = {name: theft for name, theft in thieves.items() if theft.spent < theft.budget}
    counts = "; ".join(f"{name}: {part.spent:,} of {part.budget:,} queries used" for name, part in thieves.items())
    return FlagPart(
        name="queries",
        level="note" if short else "ok",
        seen=counts,
        meaning="a query set smaller than the budget leaves part of it unspent; an attacker may have more images",
        action="use a larger query set, or --queries collages" if short else "none",
    )
