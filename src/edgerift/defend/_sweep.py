"""The cost of a defence at each strength, and the strongest setting within a budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from edgerift.defend._answer_defence import DEFENCES
from edgerift.defend._defence import Defence, defended
from edgerift.defend._strength import with_strength
from edgerift.errors import RecipeError
from edgerift.measure import (
    accuracy,
    agreement,
    expected_calibration_error,
    negative_log_likelihood,
    posterior_l1,
    strongest,
)
from edgerift.settings import Settings

#: The number of bisections between two strengths of the grid.
_HALVINGS = 20


class SweepPoint(Settings):
    """The effect of a defence at one strength.

    `l1` is their mean distance to the clean answers, in [0, 2]; `error` the top-1 error (the defender's
    error); `changed` the share of images whose label differs from that of the clean answer; `ece` the expected
    calibration error with 15 bins, `nll` the negative log-likelihood in nats, probabilities clipped to at least 1e-12.
    """

    strength: float
    l1: float
    error: float
    changed: float
    ece: float
    nll: float


def sweep(
    name: str,
    answers: Tensor,
    labels: Tensor,
    strengths: Sequence[float] | None = None,
    *,
    images: Tensor | None = None,
    **fields: Any,
) -> tuple[SweepPoint, ...]:
    """Measure a defence at each strength (default: those of :func:`strengths`) on answers `[N,K]`, labels `[N]`.

    `images` are what was answered, for a defence that sees them; `fields` are its other fields. Raises `RecipeError`
    for an unknown name or a value that is not allowed,
    `InputError` for answers that are not probabilities, are empty, or do not match the labels.
    """
    grid = DEFENCES[name].grid if strengths is None else strengths
    chosen = [_comparable(name, strength, **fields) for strength in grid]
    given = [defended(answers, (defence,), images) for defence in chosen]
    return tuple(_measured(strength, each, answers, labels) for strength, each in zip(grid, given, strict=True))


def tuned(
    name: str,
    answers: Tensor,
    budget: float,
    *,
    reference: Tensor | None = None,
    images: Tensor | None = None,
    **fields: Any,
) -> Defence | None:
    """Find the strongest defence of that name whose answers are at most `budget` from `reference` in mean l1.

    `reference` are answers `[N,K]` (default: `answers` themselves); `images` are what was answered, for a defence that
    sees them; `fields` are the defence's other fields. The strongest of :func:`strengths` within the budget is found
    first, then 20 bisections towards the next follow, so a cliff such as Deception's at 1 is approached from below. The
    one returned was itself measured and is within the budget on these answers; None if no strength of the grid is.

    Raises `RecipeError` for a budget below 0, an unknown name or a value that is not allowed, `InputError` for answers
    that are not probabilities or are empty.

    >>> import torch
    >>> tuned("top-k", torch.tensor([[0.5, 0.25, 0.125, 0.125]]), budget=0.6)
    TopK(type='top-k', k=2, renormalise=True)
    """
    if not budget >= 0:
        raise RecipeError(f"a budget of {budget} for the l1 distance; allowed: 0 to 2")
    chosen = DEFENCES[name]
    near = answers if reference is None else reference

    def cost(strength: float) -> float:
        return posterior_l1(defended(answers, (_comparable(name, strength, **fields),), images), near).value

    place = next((place for place in reversed(range(len(chosen.grid))) if cost(chosen.grid[place]) <= budget), None)
    if place is None:
        return None
    weaker, stronger = chosen.grid[place], chosen.grid[place + 1 : place + 2]
    found = _refined(cost, weaker, stronger[0], budget, chosen.is_whole()) if stronger else weaker
    return with_strength(name, found, **fields)


def _refined(cost: Callable[[float], float], weaker: float, stronger: float, budget: float, whole: bool) -> float:
    """Find the strongest between a strength within the budget and one beyond it, which may be the smaller."""

    def between(share: float) -> float:
        strength = weaker + share * (stronger - weaker)
        return round(strength) if whole else strength

    steps = round(abs(stronger - weaker)).bit_length() if whole else _HALVINGS
    share = strongest(lambda share: cost(between(share)), low=0.0, high=1.0, budget=budget, steps=steps)
    return weaker if share is None else between(share)


def _comparable(name: str, strength: float, **fields: Any) -> Defence:
    defence = with_strength(name, strength, **fields)
    if not defence.sums_to_one:
        raise RecipeError(
            f"{defence!r} does not return probabilities to compare; choose settings whose rows add up to 1"
        )
    return defence


def _measured(strength: float, given: Tensor, answers: Tensor, labels: Tensor) -> SweepPoint:
    return SweepPoint(
        strength=strength,
        error=1 - accuracy(given, labels).value,
        changed=1 - agreement(given, answers).value,
        l1=posterior_l1(given, answers).value,
        ece=expected_calibration_error(given, labels),
        nll=negative_log_likelihood(given, labels),
    )
