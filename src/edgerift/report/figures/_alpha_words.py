"""What DivQAT does over alpha, in words, and where that is known."""

from __future__ import annotations

from edgerift.facts import Facts, pooled
from edgerift.facts import readings as of
from edgerift.report.figures._panels import Panel, on_first_target, panels
from edgerift.report.shared._thieves import other_thieves, thief_title
from edgerift.report.shared._words import percent


def alpha_words(found: Facts) -> str:
    """Give what each alpha did, what each search tried and what it chose."""
    told = []
    for panel in shown_panels(found):
        for at in alphas_of(panel):
            own = panel.facts.where(at=at)
            owner, thief, apart = (
                percent(_mean(own.of(reading)))
                for reading in (of.ALPHA_DEFENDER, of.ALPHA_ERROR, of.ALPHA_DISAGREEMENT)
            )
            others = "".join(
                f", adversary's error with {thief_title(other)} "
                f"{percent(_mean(own.of(of.ALPHA_THEFT_ERROR, **other._asdict())))}"
                for other in other_thieves(own.of(of.ALPHA_THEFT_ERROR))
            )
            told.append(
                f"{panel.title}, alpha {at:g}: defender's error {owner}, adversary's error {thief}, disagreement "
                f"{apart}, divergence {_mean(own.of(of.ALPHA_KL)):.4f}{others}"
            )
        for seed, search in searches_of(panel).items():
            tried = ", ".join(
                f"alpha {at:.4g} l1 {_mean(own.of(of.TRIAL_L1)):.3f} divergence {_mean(own.of(of.TRIAL_KL)):.4f}"
                for at, own in by_alpha(search.of(*of.TRIAL.readings)).items()
            )
            chosen = next((f"alpha {fact.value:.4g}" for fact in search.of(of.CHOSEN)), "none")
            told.append(f"{panel.title}, search of seed {seed}: {tried}; chosen: {chosen}")
    return f"{'; '.join(told)}."


def shown_panels(found: Facts) -> list[Panel]:
    """List the panels: where DivQAT was trained at any alpha, or searched for, on the first target."""
    own = on_first_target(found).where(victim="divqat")
    return [panel for panel in panels(own) if alphas_of(panel) or searches_of(panel)]


def alphas_of(panel: Panel) -> list[float]:
    """List the alphas that were measured."""
    return sorted(panel.facts.of(of.ALPHA_L1).distinct("at"))


def searches_of(panel: Panel) -> dict[int, Facts]:
    """Give the facts of each seed's search."""
    return panel.facts.of(*of.SEARCH.readings, *of.TRIAL.readings).by("seed")


def by_alpha(found: Facts) -> dict[float, Facts]:
    """Sort facts by what they are over, the least first."""
    return dict(sorted(found.by("at").items()))


def _mean(found: Facts) -> float:
    whole = pooled(found)
    assert whole is not None
    return whole.value
