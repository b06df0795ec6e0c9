"""Verdicts in words, and where theory predicts the jump."""

from __future__ import annotations

import math
from typing import Final, Literal, TypeAlias

import torch
from torch import Tensor

from edgerift.adapt import Search, flip_alpha
from edgerift.harden._document import ClosedFormPart, VariantPart
from edgerift.harden._variant import VARIANTS
from edgerift.measure import Interval, fisher, rate_of

#: The significance level of a difference between two shares.
SIGNIFICANT: Final = 0.05

Labels: TypeAlias = Literal["soft", "hard"]
_LABELS: Final[tuple[Labels, ...]] = ("soft", "hard")


def variant_verdict(part: VariantPart, plain: VariantPart | None, guessing: float) -> str:
    """State the cost and the benefit of a victim against the plain quantization-aware baseline.

    There is no verdict where the error of either is not below that of `guessing`.
    Fisher's exact test treats the errors as if they were on different images, which is conservative; it does not
    account for the variance between training seeds.
    """
    if plain is None:
        return "The plain quantization-aware model, the baseline for the others."
    for name, one in (("victim", part), ("plain quantization-aware model", plain)):
        if one.defender_error.high >= guessing:
            return (
                f"No verdict: the {name} has collapsed; its error of {100 * one.defender_error.value:.1f} % is not "
                f"below that of guessing, {100 * guessing:.1f} %."
            )
    clones = {name: _more(_gain(part, plain, name), "higher", "lower", "the same") for name in _LABELS}
    sides = [f"{more} with {name} labels ({_judged(part, plain, name)})" for name, more in clones.items()]
    return (
        f"The defender's error is {_more(_cost(part, plain), 'higher', 'lower', 'the same')} at l1 "
        f"{part.l1.value:.3f}; the clone's error is {' and '.join(sides)}. {_worth(part, plain)}"
    )


def overall_verdict(parts: dict[str, VariantPart], search: Search | None) -> str:
    """Summarise the defences: a line for the undefended build, the search and each defence."""
    plain = parts["qat"]
    lines = [
        f"Undefended, the QAT build has a test error of {100 * plain.defender_error.value:.1f} % and its clones "
        f"{100 * plain.adversary_error.soft.value:.1f} % (soft labels) and "
        f"{100 * plain.adversary_error.hard.value:.1f} % (hard labels)."
    ]
    if search is not None:
        lines.append(f"The search for DivQAT's alpha: {search.verdict}.")
    lines += [f"{part.title}: {part.verdict}" for name, part in parts.items() if VARIANTS[name].is_defended]
    return "\n".join(lines)


def closed_form(posteriors: Tensor, labels: Tensor, search: Search) -> ClosedFormPart | None:
    """Compare where DivQAT jumped with where an unconstrained answer would; None if the original gets no image right.

    `posteriors` `[N,K]` are the original's answers to the validation images, whose labels are `labels` `[N]`.
    """
    answers = posteriors.double().clamp_min(1e-30)
    own = answers.gather(1, labels[:, None])[:, 0]
    right = answers.argmax(1) == labels
    if not bool(right.any()):
        return None
    margins = (own.log() - answers.min(1).values.log())[right]
    low, middle, high = (float(value) for value in torch.quantile(margins, torch.tensor([0.1, 0.5, 0.9]).double()))
    moved = [trial.strength for trial in search.trials if trial.strength and trial.l1 > search.floor]
    allowed = search.allowance.accuracy_drop
    least = 0.0 if allowed is None else search.reference_accuracy - allowed
    flipped = [*search.diverged, *(trial.strength for trial in search.trials if trial.accuracy < least)]
    return ClosedFormPart(
        margin=middle,
        low_margin=low,
        high_margin=high,
        appears=_appears(middle),
        flips=flip_alpha(middle),
        first_beyond_noise=min(moved, default=None),
        first_flip=min(flipped, default=None),
    )


def _appears(margin: float) -> float:
    """Solve margin = 1 + 1/alpha - ln alpha, above which a poisoned optimum exists; the right side falls with alpha."""
    from scipy.optimize import brentq

    return float(brentq(lambda alpha: 1 + 1 / alpha - math.log(alpha) - margin, 1e-6, 1e3))


def _cost(part: VariantPart, plain: VariantPart) -> float:
    return part.defender_error.value - plain.defender_error.value


def _gain(part: VariantPart, plain: VariantPart, labels: Labels) -> float:
    return _side(part, labels).value - _side(plain, labels).value


def _side(part: VariantPart, labels: Labels) -> Interval:
    return part.adversary_error.soft if labels == "soft" else part.adversary_error.hard


def _p(part: VariantPart, plain: VariantPart, labels: Labels) -> float:
    return fisher(rate_of(_side(part, labels)), rate_of(_side(plain, labels)))


def _more(share: float, more: str, less: str, same: str) -> str:
    """Write a difference of two shares in points.

    >>> [_more(share, "higher", "lower", "the same") for share in (0.0251, -0.003, 0.0001)]
    ['2.5 points higher', '0.3 points lower', 'the same']
    """
    points = f"{abs(100 * share):.1f}"
    return same if points == "0.0" else f"{points} points {less if share < 0 else more}"


def _judged(part: VariantPart, plain: VariantPart, labels: Labels) -> str:
    p = _p(part, plain, labels)
    written = "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
    return written if p < SIGNIFICANT else f"not significant, {written}"


def _worth(part: VariantPart, plain: VariantPart) -> str:
    gains = {name: _gain(part, plain, name) for name in _LABELS}
    unhindered = [name for name in _LABELS if gains[name] <= 0 or _p(part, plain, name) >= SIGNIFICANT]
    if len(unhindered) == len(_LABELS):
        return "It hinders neither attacker significantly."
    if unhindered:
        return f"The attacker with {unhindered[0]} labels is not significantly hindered."
    worst = min(_LABELS, key=lambda name: gains[name])
    if gains[worst] <= _cost(part, plain):
        return f"It costs the defender at least as much as the attacker with {worst} labels."
    return "It costs both attackers more than the defender."
