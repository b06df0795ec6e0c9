"""A study's comparisons of hardened victims, as its tables and records look for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from edgerift.defend import Defence, strength_of
from edgerift.deploy import Target
from edgerift.harden import Hardening, TimesPart, VariantPart
from edgerift.measure import Interval
from edgerift.report.hardening._words import figure
from edgerift.report.tables._table import Cell
from edgerift.study import Study, StudyResult

#: The row that the others are measured against.
PLAIN = "qat"


@dataclass(frozen=True)
class Comparison:
    """The victims of one original for one target, over their seeds."""

    data: str
    original: str
    target: Target
    by_seed: dict[int, Hardening]

    @property
    def source(self) -> str:
        """Where its images come from."""
        return next(iter(self.by_seed.values())).data.source

    @property
    def names(self) -> tuple[str, ...]:
        """The rows that any seed has, in a table's order."""
        return tuple(dict.fromkeys(name for one in self.by_seed.values() for name in one.victim))

    def parts(self, name: str) -> dict[int, VariantPart]:
        """Give a row of every seed that has it."""
        return {seed: one.victim[name] for seed, one in self.by_seed.items() if name in one.victim}

    def times(self, name: str) -> list[TimesPart]:
        """Give what was timed of a row, for each seed that has it; nothing in it where nothing was timed."""
        nothing = TimesPart()
        return [one.times.get(name, nothing) for one in self.by_seed.values() if name in one.victim]

    def title(self, name: str) -> str:
        """Name a row as tables do; a bare name where it is only searched for."""
        return next((part.title for part in self.parts(name).values()), name)

    def shares(self, name: str, share: Callable[[VariantPart], Interval]) -> dict[int, Interval]:
        """Give one share of a row, by seed."""
        return {seed: share(part) for seed, part in self.parts(name).items()}


@final
class Comparisons:
    """All comparisons of a study, in its order."""

    def __init__(self, result: StudyResult) -> None:
        self.study: Study = result.study
        self._found = {(cell.data, cell.original, cell.target, cell.seed): cell.hardening for cell in result.thefts}

    @property
    def seeds(self) -> int:
        """How many seeds the study has."""
        return len(self.study.seeds)

    def all(self) -> list[Comparison]:
        """List the comparisons that any seed has."""
        plan = self.study.theft
        assert plan is not None
        places = (
            (data, original, target)
            for data in self.study.data
            for original in self.study.originals
            for target in plan.targets
        )
        found = (Comparison(*place, self._seeds_at(place)) for place in places)
        return [one for one in found if one.by_seed]

    def first_target(self) -> list[Comparison]:
        """List the comparisons for the study's first target, which have all rows."""
        assert self.study.theft is not None
        return [one for one in self.all() if one.target == self.study.theft.targets[0]]

    def places(self, one: Comparison) -> list[Cell]:
        """Give the first two cells of a row: the network is None where the study has no other."""
        return [one.data, one.original if len(self.study.originals) > 1 else None]

    def target_words(self) -> str:
        """Say what the tables of the first target are for."""
        first = self.first_target()
        runtimes = dict.fromkeys(hardening.runtime for one in first for hardening in one.by_seed.values())
        return f"Target {first[0].target} on {' and '.join(runtimes)}" if first else ""

    def paper(self) -> bool:
        """Whether the second paper's figures stand beside ours."""
        return self.study.paper == "divqat"

    def each(self, words: Callable[[Hardening], str]) -> str:
        """Say something of each data set, once where it is the same of all."""
        said = {one.data: words(next(iter(one.by_seed.values()))) for one in self.all()}
        if len(set(said.values())) == 1:
            return next(iter(said.values()))
        return "; ".join(f"{data}: {text}" for data, text in said.items())

    def _seeds_at(self, place: tuple[str, str, Target]) -> dict[int, Hardening]:
        return {seed: self._found[(*place, seed)] for seed in self.study.seeds if (*place, seed) in self._found}


def joint(name: str) -> bool:
    """Whether a row has a defence of the training and one of the answers."""
    return "+" in name


def trained(hardening: Hardening, name: str) -> bool:
    """Whether a row has a defence of the training, be it one that the allowance left nothing of."""
    return name in hardening.searches or hardening.victim[name].strength is not None


def strengths_words(one: Comparison, name: str) -> str | None:
    """Say which strengths a row has over the seeds; None for one without a defence.

    A range is from the least to the greatest of the seeds' strengths.
    """
    parts = one.parts(name)
    words: list[str] = []
    if any(trained(hardening, name) for hardening in one.by_seed.values() if name in hardening.victim):
        words.append(range_words([part.strength for part in parts.values()]))
    chains = [part.defences for part in parts.values()]
    if any(chains):
        settings = [next((_setting(defence) for defence in chain), None) for chain in chains]
        name_of = next(found[0] for found in settings if found)
        words.append(range_words([found and found[1] for found in settings], name_of))
    return "; ".join(words) or None


def range_words(values: Sequence[float | None], name: str = "") -> str:
    """Write values of several seeds as a range; None among them found nothing that is allowed.

    >>> range_words([0.5, 0.25, None]), range_words([1.0], "beta"), range_words([None, None])
    ('0.25 to 0.5 (none for 1 of 3 seeds)', 'beta 1', 'none allowed')
    """
    known = sorted(value for value in values if value is not None)
    if not known:
        return "none allowed"
    ends = list(dict.fromkeys((figure(known[0]), figure(known[-1]))))
    lost = len(values) - len(known)
    without = f"(none for {lost} of {len(values)} seeds)" if lost else ""
    return " ".join(filter(None, (name, " to ".join(ends), without)))


def _setting(defence: Defence) -> tuple[str, float]:
    """Name the setting of a defence that is its strength, and give its value."""
    return defence.strength_field or "", strength_of(defence)
