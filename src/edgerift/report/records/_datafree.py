"""A study's thefts without images, as its tables, figures and records look for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias, final

from edgerift.harden import DataFreeComparison, DataFreeEntry, best_epsilon, published_epsilon
from edgerift.measure import Interval
from edgerift.study import StudyResult

Control: TypeAlias = Literal["whole pixels", "simulated"]

#: How tables and figures name the attacks.
ATTACKS: Final[Mapping[str, str]] = {
    "dfme": "DFME",
    "maze": "MAZE",
    "maze-dfme": "MAZE, DFME's code",
    "disguide": "DisGUIDE",
    "disguide-hard": "DisGUIDE, labels alone",
}
#: The attacks of the paper's table III, by the names of its columns: what it calls MAZE is what DFME's code runs.
PAPER_ATTACKS: Final[Mapping[str, str]] = {"DFME": "dfme", "MAZE": "maze-dfme"}


class Theft(NamedTuple):
    """What a theft is of, besides data set, original and seed."""

    attack: str
    victim: str
    epsilon: float | None
    control: Control | None = None

    @property
    def name(self) -> str:
        """The attack with its epsilon and the control that it is."""
        parts = [self.attack, *([] if self.epsilon is None else [f"epsilon {self.epsilon:g}"])]
        return ", ".join([*parts, *([] if self.control is None else [self.control])])


@dataclass(frozen=True)
class Place:
    """The thefts without images of the victims of one original, by seed."""

    data: str
    original: str
    by_seed: dict[int, DataFreeComparison]

    @property
    def attacks(self) -> tuple[str, ...]:
        """The attacks, in the study's order."""
        return tuple(dict.fromkeys(entry.attack for entry in self._entries()))

    @property
    def victims(self) -> tuple[str, ...]:
        """The victims, in a table's order."""
        return tuple(dict.fromkeys(entry.victim for entry in self._entries()))

    def thefts(self) -> list[Theft]:
        """List what was stolen: attack by attack and victim by victim, by rising epsilon, the controls last."""
        attacks, victims = self.attacks, self.victims
        found = {Theft(one.attack, one.victim, one.epsilon, one.control) for one in self._entries()}
        return sorted(
            found,
            key=lambda one: (
                attacks.index(one.attack),
                victims.index(one.victim),
                one.control or "",
                one.epsilon or 0.0,
            ),
        )

    def entries(self, theft: Theft) -> dict[int, DataFreeEntry]:
        """Give a theft of every seed that has it."""
        found = {
            seed: one.find(theft.victim, theft.attack, theft.epsilon, theft.control)
            for seed, one in self.by_seed.items()
        }
        return {seed: entry for seed, entry in found.items() if entry is not None}

    def errors(self, theft: Theft) -> dict[int, Interval]:
        """Give the errors of a theft's clones, by seed."""
        return {seed: entry.theft.adversary_error for seed, entry in self.entries(theft).items()}

    def epsilons(self, attack: str, victim: str) -> list[float]:
        """List the epsilons that an attack was tried at, as it is."""
        tried = {
            one.epsilon for one in self._entries() if (one.attack, one.victim, one.control) == (attack, victim, None)
        }
        return sorted(epsilon for epsilon in tried if epsilon is not None)

    def as_published(self, attack: str, victim: str) -> Theft:
        """Name the theft by an attack whose differences go as far as in its publication."""
        return Theft(attack, victim, published_epsilon(attack))

    def at_best(self, attack: str, victim: str) -> Theft:
        """Name the theft at the epsilon that is best against the plain build, or at the only one."""
        own = self.epsilons(attack, victim)
        best = best_epsilon(list(self.by_seed.values()), attack)
        return Theft(attack, victim, best if best in own or not own else own[0])

    def main(self, attack: str, victim: str) -> list[Theft]:
        """List the thefts of a victim at the epsilon best against the plain build, and at the published one."""
        thefts = dict.fromkeys((self.at_best(attack, victim), self.as_published(attack, victim)))
        return [theft for theft in thefts if self.entries(theft)]

    def _entries(self) -> Iterator[DataFreeEntry]:
        for one in self.by_seed.values():
            yield from one.entries


@final
class DataFreeThefts:
    """All thefts without images of a study, in its order."""

    def __init__(self, result: StudyResult) -> None:
        self._study = result.study
        self._found: dict[tuple[str, str, int], DataFreeComparison] = {}
        for cell in result.data_free:
            place = (cell.data, cell.original, cell.seed)
            others = self._found[place].entries if place in self._found else ()
            self._found[place] = DataFreeComparison(entries=(*others, *cell.comparison.entries))
        self._titles: dict[str, str] = {
            one.victim: victim_title(result, one.victim) for cell in result.data_free for one in cell.comparison.entries
        }

    def title(self, victim: str) -> str:
        """Name a victim as the tables of comparisons do."""
        return self._titles.get(victim, victim)

    def all(self) -> list[Place]:
        """List the places that any seed has thefts of."""
        found = (self.at(data, original) for data in self._study.data for original in self._study.originals)
        return [place for place in found if place is not None]

    def at(self, data: str, original: str) -> Place | None:
        """Give the thefts of a data set and an original; None where there are none."""
        seeds = [seed for seed in self._study.seeds if (data, original, seed) in self._found]
        if not seeds:
            return None
        return Place(data, original, {seed: self._found[data, original, seed] for seed in seeds})


def victim_title(result: StudyResult, victim: str) -> str:
    """Name a victim as the tables of comparisons do; a bare name where nobody compared it."""
    found = (cell.hardening.victim[victim].title for cell in result.thefts if victim in cell.hardening.victim)
    return next(found, victim)


def published_thefts(place: Place) -> Iterator[tuple[str, str]]:
    """List the columns of the paper's table III that a place has thefts for, with the names of their attacks."""
    for column, attack in PAPER_ATTACKS.items():
        if any(place.entries(place.as_published(attack, victim)) for victim in place.victims):
            yield column, attack
