"""The cost of output defences at each strength, and their effect on an attacker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeAlias, final

import torch
from torch import Tensor, nn

from edgerift.adapt import GivenOriginal
from edgerift.defend import Defence, SweepPoint, defended, strength_of, strengths, sweep, tuned, with_strength
from edgerift.deploy import Build
from edgerift.errors import RecipeError
from edgerift.extract import ExtractRecipe, Theft, Victim, open_victim, posteriors
from edgerift.harden._defending import Defending, DefendPoint
from edgerift.harden._measures import data_part
from edgerift.harden._timing import added_milliseconds
from edgerift.images import ImagesSettings, in_channels, open_splits
from edgerift.measure import reliability
from edgerift.steps import Progress, silent
from edgerift.train import TrainRecipe

if TYPE_CHECKING:
    from edgerift.steps import Store

#: The fields of a defence, without its strength, by its name.
Fields: TypeAlias = Mapping[str, Any]


def sweep_defences(
    victim: Victim,
    images: ImagesSettings,
    defences: Mapping[str, Fields],
    store: Store,
    *,
    budget_l1: float = 0.6,
    grid: Sequence[float] | None = None,
    theft: ExtractRecipe | None = None,
    progress: Progress = silent,
) -> Defending:
    """Measure defences of a victim's answers on its validation images, each at its published strengths or at `grid`.

    `defences` has the fields of each defence, without its strength, by its name. The strongest of each whose mean l1
    distance to the clean answers is at most `budget_l1` is one of the points. With `theft`, an attack on this
    undefended victim, the victim is attacked at every strength, and the clones are measured on the test images.
    Raises `RecipeError` for an unknown name or a value that is not allowed.
    """
    if theft is not None and (theft.victim != victim or theft.images != images or theft.defences):
        raise RecipeError("the attack is on another or a defended victim; pass the attack on this victim, undefended")
    _require_allowed(defences, grid)
    opened = open_victim(victim, store, progress)
    splits = open_splits(images)
    shown, labels = splits.validation.images, splits.validation.labels
    answers = posteriors(opened, shown)
    chosen = {name: tuned(name, answers, budget_l1, images=shown, **fields) for name, fields in defences.items()}
    measured = {
        name: sweep(name, answers, labels, _ladder(name, grid, chosen[name]), images=shown, **fields)
        for name, fields in defences.items()
    }
    thief = None if theft is None else _Thief(theft, opened, splits.test.images, store, progress)
    kept = {name: defence for name, defence in chosen.items() if defence is not None}
    return Defending(
        edgerift=version("edgerift"),
        data=data_part(images, splits),
        runtime="float" if isinstance(victim, TrainRecipe | GivenOriginal) else victim.runtime,
        budget_l1=budget_l1,
        sweeps={
            name: tuple(_point(point, with_strength(name, point.strength, **defences[name]), thief) for point in row)
            for name, row in measured.items()
        },
        chosen=chosen,
        reliability={
            "clean": reliability(answers, labels),
            **{name: reliability(defended(answers, (defence,), shown), labels) for name, defence in kept.items()},
        },
        milliseconds={name: added_milliseconds(answers, (defence,), shown) or 0.0 for name, defence in kept.items()},
    )


def _require_allowed(defences: Mapping[str, Fields], grid: Sequence[float] | None) -> None:
    """Refuse a strength or a field now rather than after the victim is made."""
    for name, fields in defences.items():
        for strength in strengths(name) if grid is None else grid:
            with_strength(name, strength, **fields)


@final
class _Thief:
    """Attacks the victim behind one defence after another."""

    def __init__(
        self, theft: ExtractRecipe, opened: Build | nn.Module, test: Tensor, store: Store, progress: Progress
    ) -> None:
        self._theft, self._store, self._progress = theft, store, progress
        queries = theft.queries.open().images
        channels = max(test.shape[1], queries.shape[1])
        asked = torch.cat([in_channels(images, channels) for images in (test, queries)])
        self._images, self._answers = asked, posteriors(opened, asked)

    def theft(self, defence: Defence) -> Theft:
        # A defence that changes no answer equals the undefended victim, which is attacked once for all of them.
        changes = not torch.equal(defended(self._answers, (defence,), self._images), self._answers)
        return self._theft.replace(defences=(defence,) if changes else ()).theft(self._store, self._progress)


def _ladder(name: str, grid: Sequence[float] | None, chosen: Defence | None) -> list[float]:
    """List the strengths to measure, the chosen one among them, the weakest first."""
    published = strengths(name)
    steps = {float(strength) for strength in (published if grid is None else grid)}
    if chosen is not None:
        steps.add(strength_of(chosen))
    return sorted(steps, reverse=published[0] > published[-1])


def _point(point: SweepPoint, defence: Defence, thief: _Thief | None) -> DefendPoint:
    if thief is None:
        return DefendPoint(**point.model_dump())
    found = thief.theft(defence)
    return DefendPoint(**point.model_dump(), adversary_error=found.adversary_error, disagreement=found.disagreement)
