"""The attacks on images that a study names, and what steers an attacker who lacks a model."""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterator, Mapping
from typing import Final, Literal, Self, final

from pydantic import Field, field_validator, model_validator

from edgerift.adapt import AdaptationName, adaptation
from edgerift.errors import RecipeError, unknown_name
from edgerift.evade import Attack, GreyLevels, describe_own, is_own, preset, presets
from edgerift.settings import Count, NotAllowedError, Place, Problem, Settings, TimesOrNone
from edgerift.study._fields import (
    SEARCHED,
    Changes,
    Line,
    Once,
    Source,
    ThiefChanges,
    TrainingChanges,
    changed,
    require_changes,
)

#: What an attacker who lacks a model cannot change.
_BELIEVED: Final = {"stop": "an attacker who lacks a model stops on belief; leave it out"}


@final
class AttackChoice(Settings):
    """A named attack, and what is changed of it; `title` is its name in tables.

    Instead of a preset it may be one of the user's own, `module:function` or `path/file.py:function`. `knows` is what
    the attacker has besides answers: `both` models, the `build`, or nothing but `answers`; who lacks a model steers by
    the plan's surrogates, stops on belief, and is left out where nothing was quantized. `adaptations` are those of the
    plan that it is tried on, all where none is named.
    """

    preset: str
    title: Line | None = None
    epsilon: GreyLevels = 8
    steps: TimesOrNone = 20
    change: Changes = Field(default_factory=dict)
    knows: Literal["both", "build", "answers"] = Field(default="both", exclude_if=lambda known: known == "both")
    adaptations: Once[AdaptationName] = Field(default=(), exclude_if=operator.not_)

    def is_on(self, adapted: AdaptationName) -> bool:
        """Tell whether an adaptation is attacked with it."""
        if self.adaptations and adapted not in self.adaptations:
            return False
        return self.knows == "both" or adaptation(adapted).method is not None

    @property
    def attack(self) -> Attack:
        """The attack itself."""
        if is_own(self.preset):
            own = describe_own(self.preset, trust=True)
            return changed(Attack(epsilon=self.epsilon, steps=self.steps, own=own), self.change)
        believing: Changes = {} if self.knows == "both" else {"stop": "believed"}
        return changed(self._preset, self.change, believing)

    @property
    def _preset(self) -> Attack:
        if is_own(self.preset):
            return Attack(epsilon=self.epsilon, steps=self.steps)
        return preset(self.preset, self.epsilon, self.steps)

    @field_validator("preset")
    @classmethod
    def _exists(cls, name: str) -> str:
        if name not in presets() and not is_own(name):
            raise ValueError(f"{unknown_name('attack', name, presets())}, or module:function for your own")
        return name

    @model_validator(mode="after")
    def _fits(self) -> Self:
        try:
            require_changes(self._preset, self.change, SEARCHED if self.knows == "both" else {**SEARCHED, **_BELIEVED})
        except NotAllowedError as error:
            raise NotAllowedError(problem.below(("change",)) for problem in error.problems) from None
        try:
            self.attack  # noqa: B018 - not every attack can stop on belief
        except RecipeError as error:
            if self.knows != "both":
                raise NotAllowedError([Problem(("knows",), ("knows",), f" is '{self.knows}': {error}")]) from None
            raise
        return self


@final
class SurrogatePlan(Settings):
    """How an attacker who lacks a model makes surrogates, from `budget` answers of the build.

    `queries` is an image source or `collages` of the data set's own images. `attack` changes the extraction, such as
    its `student` or its `policy`, and `training` how the clone is trained.
    """

    budget: Count = 5_000
    queries: Source | None = None
    attack: ThiefChanges = Field(default_factory=dict)
    training: TrainingChanges = Field(default_factory=dict)


def attack_problems(
    attacks: Mapping[str, AttackChoice],
    adaptations: Collection[AdaptationName],
    shown: str,
    pictured: Collection[AdaptationName],
) -> Iterator[Problem]:
    """Find what does not fit of a plan's attacks: one on no adaptation of the plan, and an adaptation without any."""
    for name, attack in attacks.items():
        for number, adapted in enumerate(attack.adaptations):
            if adapted not in adaptations:
                rest = f" is '{adapted}'; the plan's adaptations are {', '.join(adaptations)}"
                yield _at(("attacks", name, "adaptations", number), rest)
    for number, adapted in enumerate(adaptations):
        if not any(attack.is_on(adapted) for attack in attacks.values()):
            yield _at(("adaptations", number), f" is '{adapted}', which no attack is tried on")
    if shown not in attacks:
        yield _at(("shown",), f" is '{shown}'; it must be one of the attacks: {', '.join(attacks)}")
        return
    for number, adapted in enumerate(pictured):
        if adapted in adaptations and not attacks[shown].is_on(adapted):
            yield _at(("pictured", number), f" is '{adapted}', which the attack shown, '{shown}', is not tried on")


def _at(place: Place, rest: str) -> Problem:
    return Problem(place, place, rest)
