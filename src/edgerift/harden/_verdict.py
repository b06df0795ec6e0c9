"""What the figures say in words, and where theory puts the jump."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import torch
from scipy.optimize import brentq

from edgerift.adapt import Search
from edgerift.harden._document import ClosedFormPart, VictimPart
from edgerift.measure import Interval, fisher, rate_of

if TYPE_CHECKING:
    from edgerift.harden._measures import Bench

#: Two shares differ here when chance explains so large a difference less often than this.
SIGNIFICANT: Final = 0.05


def row_verdict(part: VictimPart, plain: VictimPart | None) -> str:
    """Say what a victim costs and buys against the plain quantization-aware one.

    Fisher's exact test compares the errors as if they were on different images, which is on the safe side; it knows
    nothing of other training seeds.
    """
    if plain is None:
        return "the plain quantization-aware model that the others are measured against"
    cost = part.defender_error.value - plain.defender_error.value
    sides = [
        f"{name} labels {100 * _gain(part, plain, name):+.1f} points ({_judged(part, plain, name)})"
        for name in ("soft", "hard")
    ]
    return (
        f"costs its owner {100 * cost:+.1f} points of error at l1 {part.l1.value:.3f}; "
        f"costs the thief with {' and with '.join(sides)}"
    )


def overall_verdict(parts: dict[str, VictimPart], search: Search | None) -> str:
    """Say in plain words whether the training-time defence was worth it."""
    plain = parts["qat"]
    sentences = [
        f"Undefended, the QAT build errs on {100 * plain.defender_error.value:.1f} % of the test images and its clones "
        f"on {100 * plain.adversary_error.soft.value:.1f} % (soft labels) and "
        f"{100 * plain.adversary_error.hard.value:.1f} % (hard labels)."
    ]
    if search is not None:
        sentences.append(f"DivQAT: {search.verdict}.")
    for name, part in parts.items():
        if name not in ("large", "ptq", "qat"):
            sentences.append(f"{part.title} {part.verdict}. {_worth(part, plain)}")
    return " ".join(sentences)


def closed_form(bench: Bench, search: Search) -> ClosedFormPart | None:
    """Compare where DivQAT jumped with where a free answer would; None when the original gets no image right."""
    answers = bench.original_validation.double().clamp_min(1e-30)
    labels = bench.splits.validation.labels
    own = answers.gather(1, labels[:, None])[:, 0]
    right = answers.argmax(1) == labels
    if not bool(right.any()):
        return None
    margins = (own.log() - answers.min(1).values.log())[right]
    low, middle, high = (float(value) for value in torch.quantile(margins, torch.tensor([0.1, 0.5, 0.9]).double()))
    moved = [trial.strength for trial in search.trials if trial.strength and trial.l1 > search.floor]
    least = search.reference_accuracy - search.allowance.accuracy_drop
    flipped = [trial.strength for trial in search.trials if trial.accuracy < least]
    return ClosedFormPart(
        margin=middle,
        low_margin=low,
        high_margin=high,
        appears=_appears(middle),
        flips=2 / middle,
        first_beyond_noise=min(moved, default=None),
        first_flip=min(flipped, default=None),
    )


def _appears(margin: float) -> float:
    """Solve margin = 1 + 1/alpha - ln alpha, above which a poisoned optimum exists; the right side falls with alpha."""
    return float(brentq(lambda alpha: 1 + 1 / alpha - math.log(alpha) - margin, 1e-6, 1e3))


def _gain(part: VictimPart, plain: VictimPart, labels: str) -> float:
    return _side(part, labels).value - _side(plain, labels).value


def _side(part: VictimPart, labels: str) -> Interval:
    return part.adversary_error.soft if labels == "soft" else part.adversary_error.hard


def _judged(part: VictimPart, plain: VictimPart, labels: str) -> str:
    p = fisher(rate_of(_side(part, labels)), rate_of(_side(plain, labels)))
    return f"p = {p:.2g}" if p < SIGNIFICANT else f"no difference shown, p = {p:.2g}"


def _worth(part: VictimPart, plain: VictimPart) -> str:
    cost = part.defender_error.value - plain.defender_error.value
    gains = {name: _gain(part, plain, name) for name in ("soft", "hard")}
    shown = {name: _judged(part, plain, name).startswith("p") for name in gains}
    worst = min(gains, key=lambda name: gains[name])
    if not any(shown[name] and gains[name] > 0 for name in gains):
        return "It does not hold back either thief measurably."
    if gains[worst] <= cost or not shown[worst]:
        return f"A thief with {worst} labels gets round it: it costs its owner as much as that thief, or more."
    return "Both thieves pay more than its owner does."
