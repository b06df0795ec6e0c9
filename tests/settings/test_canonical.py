"""The canonical text of values of every type."""

import dataclasses
import enum
from pathlib import Path

import pytest
from pydantic import Field

from edgerift.errors import RecipeError
from edgerift.settings import Settings, canonical_json


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


@dataclasses.dataclass(frozen=True)
class Point:
    x: float
    y: int | None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1, "1"),
        (10**30, "1" + "0" * 30),
        (1.0, "1.0"),
        (-0.0, "0.0"),
        ("é\n", r'"\u00e9\n"'),
        (Text("a"), '"a"'),
        (Whole(7), "7"),
        (Level.HIGH, "3"),
        (Colour.RED, '"red"'),
        (Path("a/b"), '"a/b"'),
        (Point(1, None), '{"x":1,"y":null}'),
        ({2: (True, None), "1": {Colour.RED}}, '{"1":["red"],"2":[true,null]}'),
    ],
)
def test_the_text_of_a_value(value, text):
    assert canonical_json(value) == text


class Later(Settings):
    old: int = 1
    new: str | None = Field(default=None, exclude_if=lambda value: value is None)
    nowhere: str = Field(default="a", exclude=True)


@pytest.mark.parametrize(("fields", "text"), [({}, '{"old":1}'), ({"new": "b"}, '{"new":"b","old":1}')])
def test_a_field_that_came_later_is_written_only_where_it_says_something(fields, text):
    assert canonical_json(Later(**fields)) == text
    assert canonical_json([Later(**fields)]) == f"[{text}]"
    assert Later.model_validate_json(text) == Later(**fields)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), [1, {"a": -float("inf")}]])
def test_what_has_no_text(value):
    with pytest.raises(RecipeError, match="a recipe holds"):
        canonical_json(value)
