"""The random policy of KnockoffNets: images of the set in an order that the seed decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from edgerift import images, train
from edgerift._lazy import later
from edgerift.errors import BudgetError, InputError
from edgerift.extract._query_policy import Asking, QueryPolicy, query_policy

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from edgerift.extract import _ledger as ledger
    from edgerift.images import ImageSet
else:
    torch, ledger = later("torch", "edgerift.extract._ledger")


@query_policy
class RandomPolicy(QueryPolicy):
    """Query as many images as the budget allows, drawn by the seed (Orekondy et al. 2019, arXiv:1812.02766)."""

    type: Literal["random"] = "random"

    def collect(self, asking: Asking) -> tuple[ImageSet, Tensor]:
        """Ask about each view of each image, and average."""
        victim, drawn = asking.victim, _drawn(asking)
        count = len(drawn) if victim.spent == 0 else _affordable(asking, drawn)
        questions = drawn if count == len(drawn) else drawn.select(torch.arange(count))
        views = (view[:count] for view in _views(drawn, asking))
        total = torch.zeros((), dtype=torch.float64)
        for view in views:
            shown = replace(questions, images=view)
            total = total + asking.read(victim.ask(view, asking.progress), shown).double()
        return questions, (total / asking.views).float()

    def most(self, budget: int) -> int:
        """Count the whole budget."""
        return budget


def _drawn(asking: Asking) -> ImageSet:
    """Draw the images to query; what a killed run has paid for is drawn again, at no cost."""
    queries, views = asking.queries, asking.views
    count = min(len(queries), asking.victim.budget // views)
    if count < 1:
        raise InputError(
            f"a budget of {asking.victim.budget} and {len(queries)} images with {views} views each: nothing to "
            "query; give a larger budget or fewer views"
        )
    if views > 1 and queries.augmentation == images.Augmentation():
        raise InputError(f"'{queries.name}' allows no mirroring or shifting, so {views} views would be the same")
    order = torch.randperm(len(queries), generator=torch.Generator().manual_seed(asking.seed))
    return queries.select(order[:count])


def _views(drawn: ImageSet, asking: Asking) -> Iterator[Tensor]:
    """Make the views of the images: uint8 `[N,C,H,W]` each, the images themselves first."""
    yield drawn.images
    generator = torch.Generator().manual_seed(asking.seed)
    for _ in range(asking.views - 1):
        yield train.augment(drawn.images, drawn.augmentation, generator)


def _affordable(asking: Asking, drawn: ImageSet) -> int:
    """Tell how many of the images a victim that was asked before answers in all their views.

    A run that was killed counts as many as before: what it had paid for since costs nothing.
    """
    victim = asking.victim
    by_image = zip(*(ledger.image_keys(view) for view in _views(drawn, asking)), strict=True)
    count = victim.affordable([key for keys in by_image for key in keys]) // asking.views
    if count < 1:
        raise BudgetError(
            f"{victim.remaining} images are left of a budget of {victim.budget}, and an image with its views costs "
            f"{asking.views}: nothing to query; give a larger budget"
        )
    return count
