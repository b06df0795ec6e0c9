"""The data-free extraction attacks on one original, and the epsilon at which each is reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from edgerift.facts import readings as of
from edgerift.facts._facts import Facts
from edgerift.facts._metric import theft_name
from edgerift.facts._names import PAPER_ATTACKS
from edgerift.harden import best_epsilon, published_epsilon


class Theft(NamedTuple):
    """The fields that identify an extraction, besides data set, original and seed."""

    attack: str
    victim: str
    epsilon: float | None
    control: str | None = None

    @property
    def name(self) -> str:
        """The attack with its epsilon and its control."""
        return theft_name(self.attack, self.epsilon, self.control)


@dataclass(frozen=True)
class Thefts:
    """The data-free extraction attacks on the victims of one original, over the seeds."""

    data: str
    original: str
    facts: Facts

    @property
    def attacks(self) -> list[str]:
        """The attacks, in the study's order."""
        return self.facts.distinct("attack")

    @property
    def victims(self) -> list[str]:
        """The victims, in a table's order."""
        return self.facts.distinct("victim")

    def all(self) -> list[Theft]:
        """List the extractions by attack, victim and rising epsilon, the controls last."""
        attacks, victims = self.attacks, self.victims
        return sorted(
            (Theft(*fields) for fields in self.facts.by("attack", "victim", "epsilon", "control")),
            key=lambda one: (
                attacks.index(one.attack),
                victims.index(one.victim),
                one.control or "",
                one.epsilon or 0.0,
            ),
        )

    def of(self, theft: Theft) -> Facts:
        """Select the facts of an extraction."""
        return self.facts.where(**theft._asdict())

    def epsilons(self, attack: str, victim: str) -> list[float]:
        """List the epsilons of an attack, controls excluded."""
        tried = self.facts.where(attack=attack, victim=victim, control=None).distinct("epsilon")
        return sorted(epsilon for epsilon in tried if epsilon is not None)

    def best_epsilon(self, attack: str) -> float | None:
        """Choose the epsilon with the lowest validation error of an attack's clones of the plain build."""
        cells = self.facts.result.data_free
        own = [cell.comparison for cell in cells if (cell.data, cell.original) == (self.data, self.original)]
        return best_epsilon(own, attack)

    def as_published(self, attack: str, victim: str) -> Theft:
        """Name the extraction by an attack at its published epsilon."""
        return Theft(attack, victim, published_epsilon(attack))

    def at_best(self, attack: str, victim: str) -> Theft:
        """Name the extraction at the epsilon that is best against the plain build, or at the only one."""
        own, best = self.epsilons(attack, victim), self.best_epsilon(attack)
        return Theft(attack, victim, best if best in own or not own else own[0])

    def main(self, attack: str, victim: str) -> list[Theft]:
        """List the extractions of a victim at the epsilon best against the plain build, and at the published one."""
        thefts = dict.fromkeys((self.at_best(attack, victim), self.as_published(attack, victim)))
        return [theft for theft in thefts if self.of(theft)]


def data_free_places(found: Facts) -> list[Thefts]:
    """List the cells of the grid with data-free extraction for any seed, in the study's order."""
    own = found.of(*of.DATA_FREE.readings, *of.CURVE.readings).by("data", "original")
    study = found.study
    places = ((data, original) for data in study.data for original in study.originals)
    return [Thefts(*place, own[place]) for place in places if place in own]


def published_attacks(found: Facts) -> dict[str, str]:
    """List the columns of the DivQAT paper's table III with results, and the names of their attacks."""
    return {
        column: attack
        for place in data_free_places(found)
        for column, attack in PAPER_ATTACKS.items()
        if any(place.of(place.as_published(attack, victim)) for victim in place.victims)
    }
