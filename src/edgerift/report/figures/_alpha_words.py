"""What DivQAT does over alpha, in words, and where that is known."""

from __future__ import annotations

from edgerift.facts import Facts, pooled
from edgerift.facts import readings as of
from edgerift.report.figures._panels import Panel, on_first_target, panels
from edgerift.report.shared._collapses import Collapses, collapse_words, of_seeds_words
from edgerift.report.shared._thieves import other_thieves, thief_title
from edgerift.report.shared._words import percent


def alpha_words(found: Facts) -> str:
    """Give what each alpha did, what each search tried and what it chose; of a lone search all that a picture shows."""
    told = []
    shown = shown_panels(found)
    alone = len({seed for panel in shown for seed in searches_of(panel)}) == 1
    for panel in shown:
        dead = collapsed_alphas(found, panel)
        for at in alphas_of(panel):
            collapse = f", {dead[at]}" if at in dead else ""
            told.append(f"{panel.title}, alpha {at:g}{collapse}: {_point(panel.facts.where(at=at))}")
        told += [f"{panel.title}, alpha {at:g}: {words}" for at, words in _diverged(panel).items()]
        for seed, search in searches_of(panel).items():
            trials = by_alpha(search.of(*of.TRIAL.readings))
            tried = ", ".join(f"alpha {at:.4g} {_trial(own, alone=alone)}" for at, own in trials.items())
            tried += "".join(f", alpha {fact.value:.4g} diverged" for fact in search.of(of.DIVERGED))
            chosen = next((f"alpha {fact.value:.4g}" for fact in search.of(of.CHOSEN)), "none")
            told.append(f"{panel.title}, search of seed {seed}: {tried}; chosen: {chosen}")
    return f"{'; '.join(told)}."


def _point(found: Facts) -> str:
    figures = (of.ALPHA_DEFENDER, of.ALPHA_ERROR, of.ALPHA_DISAGREEMENT)
    owner, thief, apart = (percent(_mean(found.of(reading))) for reading in figures)
    others = "".join(
        f", adversary's error with {thief_title(other)} "
        f"{percent(_mean(found.of(of.ALPHA_THEFT_ERROR, **other._asdict())))}"
        for other in other_thieves(found.of(of.ALPHA_THEFT_ERROR))
    )
    return (
        f"defender's error {owner}, adversary's error {thief}, disagreement {apart}, divergence "
        f"{_mean(found.of(of.ALPHA_KL)):.4f}{others}"
    )


def _trial(found: Facts, *, alone: bool) -> str:
    words = f"l1 {_mean(found.of(of.TRIAL_L1)):.3f} divergence {_mean(found.of(of.TRIAL_KL)):.4f}"
    if not alone:
        return words
    accuracy, changed = (percent(_mean(found.of(one))) for one in (of.TRIAL_ACCURACY, of.TRIAL_CHANGED))
    return f"{words} accuracy {accuracy} changed labels {changed}"


def shown_panels(found: Facts) -> list[Panel]:
    """List the panels: where DivQAT was trained at any alpha, or searched for, on the first target."""
    own = on_first_target(found).where(victim="divqat")
    return [panel for panel in panels(own) if alphas_of(panel) or searches_of(panel)]


def alphas_of(panel: Panel) -> list[float]:
    """List the alphas that were measured."""
    return sorted(panel.facts.of(of.ALPHA_L1).distinct("at"))


def collapsed_alphas(found: Facts, panel: Panel) -> dict[float, str]:
    """Say of the alphas at which models do no better than guessing for how many seeds."""
    collapses, words = Collapses(found), {}
    for at in alphas_of(panel):
        dead = len(collapses.seeds(panel.data, panel.original, "divqat", alpha=at))
        if dead:
            words[at] = collapse_words(dead, len(panel.facts.of(of.ALPHA_L1, at=at)))
    return words


def _diverged(panel: Panel) -> dict[float, str]:
    """Say of the alphas at which a training diverged for how many seeds."""
    by_at = panel.facts.of(of.ALPHA_DIVERGED).by("at")
    return {
        at: of_seeds_words("diverged", len(own), len(own) + len(panel.facts.of(of.ALPHA_L1, at=at)))
        for at, own in sorted(by_at.items())
    }


def searches_of(panel: Panel) -> dict[int, Facts]:
    """Give the facts of each seed's search."""
    return panel.facts.of(*of.SEARCH.readings, *of.TRIAL.readings, of.DIVERGED).by("seed")


def by_alpha(found: Facts) -> dict[float, Facts]:
    """Sort facts by what they are over, the least first."""
    return dict(sorted(found.by("at").items()))


def _mean(found: Facts) -> float:
    whole = pooled(found)
    assert whole is not None
    return whole.value
