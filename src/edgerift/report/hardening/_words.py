"""The sentences of a comparison's reports."""

from __future__ import annotations

from typing import Final

from edgerift.defend import Defence
from edgerift.harden import Hardening, VariantPart
from edgerift.measure import Interval, MeanInterval
from edgerift.report.shared._words import figure, fixed, percent, thief_words

#: What one comparison cannot show.
ONE_SEED: Final = (
    "The intervals cover the sampling of images only. Each attacker trained one clone with one seed: a difference of a "
    "point or two is within seed-to-seed variation."
)


def defence_words(defence: Defence) -> str:
    """Describe a defence by its name, its strength and its non-default settings.

    >>> from edgerift.defend import ReverseSigmoid
    >>> defence_words(ReverseSigmoid(beta=0.3125, form="clamped-odds"))
    'reverse-sigmoid, beta 0.3125, form clamped-odds'
    """
    return ", ".join(filter(None, (defence.type, setting_words(defence))))


def setting_words(defence: Defence) -> str:
    """Write a defence's strength and its non-default settings; empty for one without settings."""
    usual = {field: known.default for field, known in type(defence).model_fields.items() if field != "type"}
    said = [field for field in usual if field == defence.strength_field or getattr(defence, field) != usual[field]]
    return ", ".join(f"{field} {figure(getattr(defence, field))}" for field in said)


def strength_words(part: VariantPart) -> str:
    """Say which strengths a victim has, whose title names the defences; empty for one without a defence."""
    trained = [] if part.strength is None else [f"strength {figure(part.strength)}"]
    return "; ".join([*trained, *filter(None, map(setting_words, part.defences))])


def heading(hardening: Hardening) -> str:
    """Name what was compared."""
    return (
        f"{hardening.model} for {hardening.target} on {hardening.runtime}, {hardening.data.test:,} test images of "
        f"{hardening.data.name}"
    )


def stealing_words(hardening: Hardening) -> str:
    """Describe the attackers and their queries."""
    thief = hardening.thief
    return (
        f"Attacked by {thief_words(thief.attack)}, and by another on labels alone; each made {thief.spent:,} queries "
        f"from {thief.name}, of a budget of {thief.budget:,}."
    )


def noise_words(hardening: Hardening) -> str:
    """Give the distance between two seeds."""
    noise = hardening.noise
    return (
        f"Noise floor: two plain QAT models of different training seeds are l1 {distance(noise.test)} apart on the "
        f"test images and {distance(noise.queries)} on the queries."
    )


def allowance_words(hardening: Hardening) -> str:
    """Say what a defence was allowed to cost."""
    allowed = hardening.allowance
    return (
        f"Allowed on the {hardening.data.validation:,} validation images: l1 {figure(allowed.l1)} from the QAT build "
        f"and a loss of {figure(100 * allowed.accuracy_drop)} points of accuracy."
    )


def search_words(hardening: Hardening) -> list[str]:
    """Say what each search for a training's strength found, except for those in the verdict."""
    found = {name: one.verdict for name, one in hardening.searches.items()}
    return [
        f"{victim_title(hardening, name)}: {said}." for name, said in found.items() if said not in hardening.verdict
    ]


def closed_form_words(hardening: Hardening) -> str | None:
    """Compare the predicted alpha of DivQAT's jump with the measured one; None without a search."""
    form = hardening.closed_form
    if form is None:
        return None
    beyond, flip = (
        "none" if alpha is None else f"alpha {figure(alpha)}" for alpha in (form.first_beyond_noise, form.first_flip)
    )
    return (
        f"Theory, for an unconstrained output on an image of the median margin ({form.margin:.1f}, from "
        f"{form.low_margin:.1f} to {form.high_margin:.1f} for 80 % of the images): a poisoned optimum appears at alpha "
        f"{form.appears:.3f} and flips the label at {form.flips:.3f}. Of the alphas tried, the first whose distance "
        f"exceeds the noise floor: {beyond}; the first to cost more accuracy than allowed: {flip}."
    )


def victim_title(hardening: Hardening, name: str) -> str:
    """Write a victim's title, or the bare name of one that is not compared."""
    return hardening.victim[name].title if name in hardening.victim else name


def has_paper(hardening: Hardening) -> bool:
    """Return whether the paper reports results for any of the victims."""
    return any(part.paper is not None for part in hardening.victim.values())


def distance(mean: MeanInterval) -> str:
    """Write a mean l1 distance.

    >>> distance(MeanInterval(value=0.09812, low=0.08, high=0.11, count=9))
    '0.098'
    """
    return f"{mean.value:.3f}"


def mean_ends(mean: MeanInterval, decimals: int = 3) -> str:
    """Write the interval of a mean.

    >>> mean_ends(MeanInterval(value=0.09812, low=0.0806, high=0.1104, count=9))
    '[0.081,\\xa00.110]'
    """
    return f"[{fixed(mean.low, decimals)},\N{NO-BREAK SPACE}{fixed(mean.high, decimals)}]"


def shares(interval: Interval) -> tuple[str, str]:
    """Write a share in percent, and its interval in short form.

    >>> shares(Interval(value=0.9, low=0.782, high=0.967, successes=45, trials=50))
    ('90.0\\xa0%', '78.2–96.7')
    """
    return percent(interval.value), f"{fixed(100 * interval.low, 1)}–{fixed(100 * interval.high, 1)}"
