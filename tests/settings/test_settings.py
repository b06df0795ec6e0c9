import json
import math
import pickle
from typing import Annotated, Literal

import pytest
from pydantic import Field, field_validator

from edgerift.errors import RecipeError
from edgerift.settings import Settings


class Schedule(Settings):
    rate: float = 0.1
    kind: Literal["cosine", "constant"] = "cosine"


class Plan(Settings):
    schedule: Schedule = Schedule()
    steps: tuple[Schedule, ...] = ()
    by_name: dict[str, Schedule] = Field(default_factory=dict)
    epochs: Annotated[int, Field(ge=1)] = 1

    @field_validator("epochs")
    @classmethod
    def _not_thirteen(cls, value: int) -> int:
        if value == 13:
            raise ValueError("13 brings bad luck")
        return value


class Needy(Settings):
    epochs: int


class Cat(Settings):
    kind: Literal["cat"]
    lives: int = 9


class Dog(Settings):
    kind: Literal["dog"]
    bones: int = 1


class Household(Settings):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


CASES = [
    (Plan, {"epochs": 0}, "Plan.epochs is 0; it must be greater than or equal to 1"),
    (Plan, {"epochs": 13}, "Plan.epochs is 13; it is not allowed: 13 brings bad luck"),
    (Plan, {"epoch": 2}, "Plan: unknown field 'epoch'; did you mean 'epochs'?"),
    (Plan, {"schedule": {"rate": "fast"}}, "Plan.schedule.rate is 'fast'; it must be a valid number"),
    (
        Plan,
        {"schedule": {"rat": 1}},
        "Plan.schedule: unknown field 'rat'; did you mean 'rate'? Known: kind, rate",
    ),
    (Plan, {"steps": [{}, {"kin": 1}]}, "Plan.steps[1]: unknown field 'kin'; did you mean 'kind'?"),
    (
        Plan,
        {"by_name": {"first": {"rte": 1}}},
        "Plan.by_name.first: unknown field 'rte'; did you mean 'rate'?",
    ),
    (
        Plan,
        {"schedule": {"kind": "cosin"}},
        "Plan.schedule.kind is 'cosin'; it must be 'cosine' or 'constant'; did you mean 'cosine'?",
    ),
    (Plan, {"schedule": 3}, "Plan.schedule is 3; it must be "),
    (Needy, {}, "Needy.epochs is missing; it has no default and must be given"),
    (
        Household,
        {"pet": {"kind": "cat", "live": 7}},
        "Household.pet.cat: unknown field 'live'; did you mean 'lives'?",
    ),
    (Household, {"pet": {"kind": "cow"}}, "Household.pet.kind is 'cow'; it must be 'cat' or 'dog'"),
    (Household, {"pet": {"kind": "cats"}}, "it must be 'cat' or 'dog'; did you mean 'cat'?"),
    (Household, {"pet": {"lives": 3}}, "it must have the field 'kind', which says what it is"),
]


@pytest.mark.parametrize(("settings", "values", "message"), CASES)
@pytest.mark.parametrize("way", ["constructor", "mapping", "json"])
def test_a_wrong_value_is_one_line_with_path_value_and_rule(way, settings, values, message):
    make = {
        "constructor": lambda: settings(**values),
        "mapping": lambda: settings.model_validate(values),
        "json": lambda: settings.model_validate_json(json.dumps(values)),
    }[way]
    with pytest.raises(RecipeError) as caught:
        make()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_must_be_finite(value):
    with pytest.raises(RecipeError, match=r"Schedule\.rate is .*; it must be a finite number"):
        Schedule(rate=value)


def test_many_wrong_values_are_counted_and_long_ones_cut():
    with pytest.raises(RecipeError, match=r"; and 2 more$"):
        Plan(steps=[1, 2, 3, 4, 5])
    with pytest.raises(RecipeError) as caught:
        Schedule(rate="x" * 10_000)
    assert len(str(caught.value)) < 200


def test_text_that_is_no_json():
    with pytest.raises(RecipeError, match="Plan: this is not JSON"):
        Plan.model_validate_json('{"epochs": ')


def test_settings_never_change():
    plan = Plan()
    with pytest.raises(RecipeError, match=r"Plan\.epochs cannot be set to 2.*replace\(epochs=\.\.\.\)"):
        plan.epochs = 2
    assert plan == Plan()


def test_replace_checks_again_and_leaves_the_first_alone():
    plan = Plan(schedule=Schedule(rate=0.5))
    assert plan.replace(epochs=3) == Plan(schedule=Schedule(rate=0.5), epochs=3)
    assert plan.epochs == 1
    with pytest.raises(RecipeError, match=r"Plan\.epochs is 0"):
        plan.replace(epochs=0)
    with pytest.raises(RecipeError, match="unknown field 'epoch'"):
        plan.replace(epoch=1)


def test_settings_are_equal_hashable_and_picklable_by_value():
    assert pickle.loads(pickle.dumps(Schedule(rate=0.3))) == Schedule(rate=0.3)
    assert len({Schedule(), Schedule(), Schedule(rate=1)}) == 2


def test_a_wrong_default_is_found():
    class Wrong(Settings):
        epochs: Annotated[int, Field(ge=1)] = 0

    with pytest.raises(RecipeError, match=r"Wrong\.epochs is 0"):
        Wrong()
