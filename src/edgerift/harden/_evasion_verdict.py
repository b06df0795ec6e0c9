"""Which build passes a policy on evasion, which came nearest, and what that costs, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from edgerift.harden._evasion_document import ChoicePart, EvasionHardening, MeansPart, TrialPart
from edgerift.measure import Interval


class Budget(NamedTuple):
    """What a policy allows: `evasive` and `accuracy_drop` at most, `coverage` at least, all shares.

    With `surely` the lower confidence bound of the coverage counts, as in an audit's policy, and not its value.
    """

    epsilon: int
    evasive: float
    coverage: float
    accuracy_drop: float
    surely: bool = False

    def affords(self, trial: TrialPart, reference: float) -> bool:
        """Tell whether a trial answers enough images, accurately enough against the undefended accuracy."""
        # Both are shares of counts: a bound that is met exactly is met.
        answered = trial.coverage.low if self.surely else trial.coverage.value
        answers = answered >= self.coverage - 1e-9
        return answers and trial.accuracy.value >= reference - self.accuracy_drop - 1e-9

    def passes(self, trial: TrialPart, reference: float) -> bool:
        """Tell whether a trial is within the whole policy."""
        return self.affords(trial, reference) and trial.at(self.epsilon).high <= self.evasive


def best(part: MeansPart, budget: Budget, reference: float) -> TrialPart | None:
    """Return the trial with the lowest bound of the evasive rate within the policy; None where there is none.

    The policy allows its coverage to be spent: of trials with the same bound the one that answers most is taken.
    """
    passing = [trial for trial in part.trials if budget.passes(trial, reference)]
    return min(passing, key=lambda trial: (trial.at(budget.epsilon).high, -trial.coverage.value), default=None)


def chosen_of(tried: Iterable[MeansPart], budget: Budget, reference: float) -> ChoicePart | None:
    """Choose the first of the means, from cheap to dear, that has a trial within the policy."""
    for part in tried:
        found = best(part, budget, reference)
        if found is not None:
            return ChoicePart(means=part.name, wanted=found.wanted)
    return None


def nearest_of(tried: Sequence[MeansPart], budget: Budget, reference: float) -> ChoicePart:
    """Find the trial with the lowest bound of the evasive rate that answers enough, or of all if none does."""
    every = [(part, trial) for part in tried for trial in part.trials]
    affordable = [(part, trial) for part, trial in every if budget.affords(trial, reference)]
    part, trial = min(affordable or every, key=lambda one: one[1].at(budget.epsilon).high)
    return ChoicePart(means=part.name, wanted=trial.wanted)


def shipped_words(document: EvasionHardening) -> str:
    """Name the build that is written.

    >>> from edgerift.harden._evasion_verdict import _behind
    >>> _behind("PTQ", 0.98)
    'PTQ behind a guard of coverage 98 %'
    """
    shipped = document.shipped
    return _behind(document.means(shipped.means).title, shipped.wanted)


def evasion_verdict(document: EvasionHardening) -> str:
    """Say in two lines whether a build passes, and what it is worth on the test images."""
    before, after = document.test["undefended"], document.test["hardened"]
    epsilon = document.epsilon
    worth = (
        f"On the test images {_rate(after.at(epsilon))} are evasive at epsilon {epsilon}, undefended "
        f"{_rate(before.at(epsilon))}; it answers {_percent(after.coverage.value)} of them and gets "
        f"{_percent(after.accuracy.value)} of these right, the undefended build {_percent(before.accuracy.value)}."
    )
    return f"{_outcome(document)}\n{worth}"


def _outcome(document: EvasionHardening) -> str:
    name, limit = shipped_words(document), _percent(document.evasive)
    if document.chosen is not None:
        return f"{name} is the cheapest that passes on the validation images."
    trial = document.means(document.nearest.means).trial(document.nearest.wanted)
    reached = _percent(trial.at(document.epsilon).high)
    return (
        f"Nothing passes: the upper confidence bound of the evasive rate has to be at most {limit}. {name} came "
        f"nearest, with {reached}. {_obstacle(document, trial)}"
    )


def _obstacle(document: EvasionHardening, nearest: TrialPart) -> str:
    """Say what stands in the way: coverage, accuracy, too few images, or the gap itself."""
    reference = document.means(document.undefended).trial(None).accuracy.value
    looser = Budget(document.epsilon, document.evasive, 0.0, document.accuracy_drop)
    lower = chosen_of(document.tried, looser, reference)
    if lower is not None:
        found = document.means(lower.means).trial(lower.wanted)
        title = document.means(lower.means).title
        return f"{title} would pass at a coverage of {_percent(found.coverage.value)}."
    if chosen_of(document.tried, looser._replace(accuracy_drop=1.0), reference) is not None:
        return f"What passes loses more accuracy than the {_percent(document.accuracy_drop)} that is allowed."
    reached = nearest.at(document.epsilon)
    if reached.successes == 0:
        return f"No image evaded; {reached.trials} images are too few for a bound of {_percent(document.evasive)}."
    smaller = [one.epsilon for one in nearest.reach if one.evasive.high <= document.evasive]
    if smaller:
        return f"It passes up to epsilon {max(smaller)}."
    return "It does not pass at any smaller epsilon either."


def _behind(title: str, wanted: float | None) -> str:
    return f"{title} without a guard" if wanted is None else f"{title} behind a guard of coverage {_percent(wanted)}"


def _rate(part: Interval) -> str:
    return f"{100 * part.value:.1f} % [{100 * part.low:.1f}, {100 * part.high:.1f}]"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
