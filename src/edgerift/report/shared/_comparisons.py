"""A study's comparisons of hardened victims: the facts of each, and further values from its documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from edgerift.defend import Defence, strength_of
from edgerift.deploy import Target
from edgerift.facts import Facts, has_collapsed
from edgerift.facts import readings as of
from edgerift.harden import Hardening
from edgerift.report.shared._collapses import Collapses
from edgerift.report.shared._thief_words import thief_words
from edgerift.report.shared._words import figure


@dataclass(frozen=True)
class Comparison:
    """The victims of one original for one target: their facts over the seeds, and the documents by seed."""

    data: str
    original: str
    target: Target
    facts: Facts
    documents: dict[int, Hardening]
    collapses: Collapses

    @property
    def any(self) -> Hardening:
        """The document of the first seed, for values common to all."""
        return next(iter(self.documents.values()))

    @property
    def names(self) -> tuple[str, ...]:
        """The victims that any seed has, in a table's order."""
        return tuple(dict.fromkeys(name for one in self.documents.values() for name in one.victim))

    def seeds(self, name: str) -> list[int]:
        """List the seeds that have a victim."""
        return [seed for seed, one in self.documents.items() if name in one.victim]

    def title(self, name: str) -> str:
        """Name a victim as tables do; a bare name where it is only searched for."""
        return next((one.victim[name].title for one in self.documents.values() if name in one.victim), name)

    def label(self, name: str) -> str:
        """Name a victim, and say so where it does no better than guessing."""
        return self.marked(self.title(name), name)

    def seed_label(self, name: str, seed: int) -> str:
        """Name a victim of one seed likewise."""
        dead = seed in self.collapses.seeds(self.data, self.original, name, self.target)
        return f"{self.title(name)} (collapsed)" if dead else self.title(name)

    def marked(self, text: str, name: str, alpha: float | None = None) -> str:
        """Say after a text whether a victim does no better than guessing, at an alpha where one is given."""
        seeds = len(self.seeds(name) if alpha is None else self.documents)
        return self.collapses.mark(
            text, seeds, data=self.data, original=self.original, victim=name, target=self.target, alpha=alpha
        )

    def guesses(self, accuracy: float) -> bool:
        """Say whether an accuracy on the validation images is not clearly above guessing."""
        data = self.any.data
        return has_collapsed(accuracy, data.validation, data.guessing)

    def trained(self, name: str) -> bool:
        """Whether a victim has a training-time defence, even if no strength was allowed."""
        own = self.facts.where(victim=name)
        return bool(own.of(of.FLOOR) or own.of(of.STRENGTH))

    def defended(self, name: str) -> bool:
        """Whether a victim has a defence of the answers."""
        return bool(self.facts.of(of.DEFENCE_STRENGTH, victim=name))

    def strengths_words(self, name: str) -> str | None:
        """Say which strengths a victim has, from the least to the greatest of the seeds; None without a defence."""
        parts = [self.documents[seed].victim[name] for seed in self.seeds(name)]
        words = [range_words([part.strength for part in parts])] if self.trained(name) else []
        if self.defended(name):
            settings = [next((_setting(defence) for defence in part.defences), None) for part in parts]
            name_of = next(found[0] for found in settings if found)
            words.append(range_words([found and found[1] for found in settings], name_of))
        return "; ".join(words) or None


def comparisons(found: Facts) -> list[Comparison]:
    """List the comparisons that any seed has, in the study's order."""
    plan, study = found.study.theft, found.study
    documents: dict[tuple[str, str, str], dict[int, Hardening]] = {}
    for cell in found.result.thefts:
        documents.setdefault((cell.data, cell.original, cell.target), {})[cell.seed] = cell.hardening
    known = found.where(source="measured", attack="").by("data", "original", "target")
    targets = () if plan is None else plan.targets
    collapses = Collapses(found)
    places = [(data, original, target) for data in study.data for original in study.originals for target in targets]
    return [
        Comparison(*place, known[place], {seed: by_seed[seed] for seed in study.seeds if seed in by_seed}, collapses)
        for place in places
        if (by_seed := documents.get(cast(tuple[str, str, str], place)))
    ]


def first_target(found: Facts) -> list[Comparison]:
    """List the comparisons for the study's first target, which have all victims."""
    theft = found.study.theft
    return [] if theft is None else [one for one in comparisons(found) if one.target == theft.targets[0]]


def lone(found: Facts) -> Hardening | None:
    """Give the document of a study, or of a run, that compares victims once: it is shown in more detail."""
    documents = [cell.hardening for cell in found.result.thefts]
    return documents[0] if len(documents) == 1 else None


def paper_target(found: Facts) -> Target:
    """Name the first target, whose victims have the paper's figures beside them where it has any."""
    plan = found.study.theft
    return "server" if plan is None else plan.targets[0]


def target_words(found: Facts) -> str:
    """Say what the tables of the first target are for."""
    first = first_target(found)
    runtimes = dict.fromkeys(document.runtime for one in first for document in one.documents.values())
    return f"Target {first[0].target} on {' and '.join(runtimes)}" if first else ""


def tested_words(found: Facts) -> str:
    """Say how many test images there are."""
    counts = {one.data: one.any.data.test for one in comparisons(found)}
    return f"Test images: {', '.join(f'{data} {count:,}' for data, count in counts.items())}"


def asked_words(found: Facts) -> str:
    """Describe the attackers and their queries."""
    thief = _each(found, lambda one: thief_words(one.thief.attack))
    asked = _each(found, lambda one: f"{one.thief.spent:,} queries from {one.thief.name}")
    return f"Attacker: {thief} (soft labels), or on labels alone (hard labels); {asked}"


def _each(found: Facts, words: Callable[[Hardening], str]) -> str:
    """Write a sentence per data set, or one where all are the same."""
    said = {one.data: words(one.any) for one in comparisons(found)}
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return "; ".join(f"{data}: {text}" for data, text in said.items())


def victim_title(found: Facts, victim: str) -> str:
    """Name a victim as the tables of comparisons do; a bare name where no document compares it."""
    return next(
        (cell.hardening.victim[victim].title for cell in found.result.thefts if victim in cell.hardening.victim), victim
    )


def range_words(values: Sequence[float | None], name: str = "") -> str:
    """Write values of several seeds as a range; None stands for a seed without an allowed value.

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
