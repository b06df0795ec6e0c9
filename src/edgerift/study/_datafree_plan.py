"""The part of a study that steals without images."""

from __future__ import annotations

from typing import Self, final

from pydantic import Field, PositiveFloat, model_validator

from edgerift.extract import AttackName, DataFree
from edgerift.harden import VariantName
from edgerift.settings import Count, NotAllowedError, Parts, Problem, Seed, Settings
from edgerift.study._fields import Changes, Name, Once, data_free_problems


@final
class DataFreePlan(Settings):
    """Who is stolen without images, and how: the rows `rows` of the first target, for the sets and seeds named.

    `attacks` names the attacks and changes what is published of them; those that take finite differences are run on
    builds at each of the `epsilons` too, and `controls` adds what tells training from rounding. Every victim of `data`
    (all sets where none is named) and `seeds` (all of the study's) is attacked, for `budget` queries, or for what
    `budgets` says of an attack.
    """

    attacks: dict[AttackName, Changes] = Field(min_length=1)
    rows: Once[VariantName] = Field(("large", "qat", "divqat"), min_length=1)
    epsilons: Once[PositiveFloat] = ()
    controls: bool = True
    budget: Count = 20_000_000
    budgets: dict[AttackName, Count] = Field(default_factory=dict)
    points: Parts = 20
    data: Once[Name] = ()
    seeds: Once[Seed] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        found = [
            problem.below(("attacks", name))
            for name, changes in self.attacks.items()
            for problem in data_free_problems(name, changes)
        ]
        if found:
            raise NotAllowedError(found)
        for name in set(self.budgets) - set(self.attacks):
            rest = f" is about an attack that is not there; attacks has {', '.join(self.attacks)}"
            raise NotAllowedError([Problem(("budgets", name), ("budgets", name), rest)])
        for attack in self.thieves(0):
            budget = self.budgets.get(attack.name, self.budget)
            if attack.queries > budget:
                place = ("budgets", attack.name) if attack.name in self.budgets else ("budget",)
                rest = (
                    f" is {budget}; one iteration of {attack.name} takes {attack.queries} queries: give more, or "
                    "the attack a smaller batch_size"
                )
                raise NotAllowedError([Problem(place, place, rest)])
        return self

    def thieves(self, seed: int) -> tuple[DataFree, ...]:
        """The attacks for a seed of the study; the attacker has the next one."""
        given = (DataFree.model_validate({"name": name, **changes}) for name, changes in self.attacks.items())
        return tuple(attack.replace(seed=seed + 1) for attack in given)
