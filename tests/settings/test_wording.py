"""The lines about what is not allowed: where each value stands, and what is told of values inside values."""

from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator, Field, model_validator

from edgerift.errors import RecipeError
from edgerift.settings import NotAllowedError, Problem, Settings, problems


class Inner(Settings):
    epochs: Annotated[int, Field(ge=1)] = 1
    names: tuple[Annotated[str, Field(min_length=1)], ...] = ()

    @model_validator(mode="after")
    def _check(self):
        if self.epochs == 13:
            raise ValueError("13 brings\nbad luck")
        return self


def _inner(values):
    found = problems(Inner, values)
    if found:
        raise NotAllowedError(found)
    return values


def _short(key):
    if len(key) > 3:
        raise ValueError("a key has 3 characters")
    return key


class Outer(Settings):
    changes: Annotated[dict[str, object], AfterValidator(_inner)] = Field(default_factory=dict)
    by_key: dict[Annotated[str, AfterValidator(_short)], Inner] = Field(default_factory=dict)
    many: tuple[Inner, ...] = ()

    @model_validator(mode="after")
    def _check(self):
        if "two" in self.by_key and self.changes:
            place = ("by_key", "two")
            raise NotAllowedError([Problem(place, place, " is given with changes")])
        return self


CASES = [
    (
        {"changes": {"epochs": 0}},
        [(("changes", "epochs"), "changes.epochs is 0; it must be greater than or equal to 1")],
    ),
    (
        {"changes": {"epoch": 2}},
        [(("changes", "epoch"), "changes: unknown field 'epoch'; did you mean 'epochs'? Known: epochs, names")],
    ),
    (
        {"changes": {"epochs": 0, "names": ["a", ""]}},
        [
            (("changes", "epochs"), "changes.epochs is 0; it must be greater than or equal to 1"),
            (("changes", "names", 1), "changes.names[1] is ''; it must have at least 1 character"),
        ],
    ),
    ({"changes": {"epochs": 13}}, [(("changes",), "changes: 13 brings bad luck")]),
    ({"many": [{}, {"epochs": 13}]}, [(("many", 1), "many[1]: 13 brings bad luck")]),
    (
        {"by_key": {"long": {}}},
        [(("by_key", "long", "[key]"), "by_key.long is 'long'; it is not allowed: a key has 3 characters")],
    ),
    (
        {"by_key": {"a\nb": {"epochs": 0}}},
        [(("by_key", "a\nb", "epochs"), r"by_key.a\nb.epochs is 0; it must be greater than or equal to 1")],
    ),
    ({"a\tb": 1}, [(("a\tb",), r"unknown field 'a\tb'; Known: by_key, changes, many")]),
    (
        {"changes": {"names": ["x"]}, "by_key": {"two": {}}},
        [(("by_key", "two"), "by_key.two is given with changes")],
    ),
    (3, [((), "is 3; it must be a mapping")]),
    ({}, []),
]


@pytest.mark.parametrize(("content", "expected"), CASES)
def test_every_problem_has_its_place_and_one_line(content, expected):
    assert [(problem.place, problem.text) for problem in problems(Outer, content)] == expected


class Least(Settings):
    numbers: tuple[int, ...] = Field((1, 2), min_length=2)
    words: dict[str, int] = Field(default_factory=lambda: {"a": 1}, min_length=1)
    text: str = Field("ab", min_length=2)
    choice: Literal["mobile", "server", "finetune"] = "mobile"
    switch: bool = True
    list_of: list[float] = Field(default_factory=list)
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"numbers": []}, "numbers is []; it must have at least 2 items"),
        ({"numbers": [1]}, "numbers is [1]; it must have at least 2 items"),
        (
            {"numbers": ["x"]},
            "numbers[0] is 'x'; it must be a valid integer|numbers is ['x']; it must have at least 2 items",
        ),
        # Two were given; that the check does not count the wrong ones is its own affair.
        ({"numbers": ["x", 1]}, "numbers[0] is 'x'; it must be a valid integer"),
        ({"numbers": [1.5, 2]}, "numbers[0] is 1.5; it must be a valid integer"),
        ({"numbers": [None, 2]}, "numbers[0] is None; it must be a valid integer"),
        ({"numbers": 3}, "numbers is 3; it must be a list"),
        ({"list_of": "3"}, "list_of is '3'; it must be a list"),
        ({"list_of": ["x"]}, "list_of[0] is 'x'; it must be a valid number"),
        ({"words": {}}, "words is {}; it must have at least 1 item"),
        ({"words": [1]}, "words is [1]; it must be a mapping"),
        ({"text": "a"}, "text is 'a'; it must have at least 2 characters"),
        ({"text": 3}, "text is 3; it must be text"),
        ({"switch": "perhaps"}, "switch is 'perhaps'; it must be true or false"),
        ({"switch": [1]}, "switch is [1]; it must be true or false"),
        ({"inner": 3}, "inner is 3; it must be a mapping"),
        (
            {"choice": "moblie"},
            "choice is 'moblie'; it must be 'mobile', 'server' or 'finetune'; did you mean 'mobile'?",
        ),
        # Half of the letters in common is not near.
        ({"choice": "int4"}, "choice is 'int4'; it must be 'mobile', 'server' or 'finetune'"),
        ({"choice": ["mobile"]}, "choice is ['mobile']; it must be 'mobile', 'server' or 'finetune'"),
    ],
)
def test_every_rule_is_told_in_plain_words(values, told):
    assert "|".join(problem.text for problem in problems(Least, values)) == told


def test_what_the_whole_does_not_allow_may_be_told_of_a_part():
    class Whole(Settings):
        first: int = 0
        second: tuple[int, ...] = ()

        @model_validator(mode="after")
        def _check(self):
            wrong = [place for place, number in enumerate(self.second) if number == self.first]
            if wrong:
                raise NotAllowedError(Problem(("second", place), ("second", place), " is the first") for place in wrong)
            return self

    class Around(Settings):
        whole: Whole

    found = problems(Around, {"whole": {"first": 3, "second": [1, 3, 3]}})
    assert [problem.place for problem in found] == [("whole", "second", 1), ("whole", "second", 2)]
    with pytest.raises(RecipeError) as caught:
        Around(whole={"first": 3, "second": [1, 3, 3, 3, 3]})
    assert str(caught.value) == (
        "Around.whole.second[1] is the first; Around.whole.second[2] is the first; "
        "Around.whole.second[3] is the first; and 1 more"
    )


def test_a_problem_can_be_moved_below_another_value():
    moved = Problem(("a", 1), ("a",), ": told").below(("b", 2))
    assert moved == Problem(("b", 2, "a", 1), ("b", 2, "a"), ": told")
    assert moved.text == "b[2].a: told"
    assert str(NotAllowedError([moved, moved])) == "b[2].a: told; b[2].a: told"
