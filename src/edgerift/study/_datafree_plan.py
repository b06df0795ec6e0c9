"""The data-free extraction attacks of a study."""

from __future__ import annotations

from typing import Self, final

from pydantic import Field, PositiveFloat, model_validator

from edgerift.extract import AttackName, DataFree
from edgerift.harden import VariantName
from edgerift.settings import Count, NotAllowedError, Parts, Problem, Seed, Settings
from edgerift.study._fields import Changes, Name, Once, data_free_problems


@final
class DataFreePlan(Settings):
    """The attacks and victims of data-free extraction: the `rows` of the first target, for the named sets and seeds.

    `attacks` names the attacks and overrides their published settings; those that use finite differences also run on
    builds at each of the `epsilons`, and `controls` adds controls that separate training from rounding. Every victim of
    `data` (all sets where none is named) and `seeds` (all of the study's) is attacked, with `budget` queries, or those
    in `budgets` for an attack.
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
            rest = f" names an attack that is not in attacks, which has {', '.join(self.attacks)}"
            raise NotAllowedError([Problem(("budgets", name), ("budgets", name), rest)])
        for attack in self.thieves(0):
            budget = self.budgets.get(attack.name, self.budget)
            if attack.queries > budget:
                place = ("budgets", attack.name) if attack.name in self.budgets else ("budget",)
                rest = (
                    f" is {budget}; one iteration of {attack.name} makes {attack.queries} queries: give more, or "
                    "the attack a smaller batch_size"
                )
                raise NotAllowedError([Problem(place, place, rest)])
        return self

    def thieves(self, seed: int) -> tuple[DataFree, ...]:
        """The attacks for a seed of the study; the attacker uses the next one."""
        given = (DataFree.model_validate({"name": name, **changes}) for name, changes in self.attacks.items())
        return tuple(attack.replace(seed=seed + 1) for attack in given)
