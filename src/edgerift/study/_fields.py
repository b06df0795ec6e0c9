"""What the fields of a study may hold: names, networks, and changes of settings that are made elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, TypeAlias, TypeVar

from pydantic import AfterValidator, Field, JsonValue

from edgerift import zoo
from edgerift.adapt import COMPRESSIONS
from edgerift.defend import DEFENCES
from edgerift.differ import DifferSettings
from edgerift.errors import unknown_name
from edgerift.extract import DataFree, Knockoff
from edgerift.flips import FlipSettings
from edgerift.images import ModelSize
from edgerift.settings import NotAllowedError, Problem, Settings, problems
from edgerift.train import TrainSettings

#: The longest name that is shown whole.
_LONGEST: Final = 60

#: The largest seed of a study: the attacker has the next one, and every library takes both.
_LARGEST_SEED: Final = 2**31 - 2

#: Some fields of settings: what is not given stays as it is elsewhere.
Changes: TypeAlias = dict[str, JsonValue]

_Values = TypeVar("_Values", bound=Settings)
_Item = TypeVar("_Item")

#: Fields that are set in another place, and what to do instead.
_SEED: Final = {"seed": "the study's seeds are given to every step; leave it out"}
_STOLEN: Final = {
    **_SEED,
    "labels": "every victim is stolen with soft and with hard labels; leave it out",
    "training": "an attacker's training is changed by `thief`; give it there",
}
#: The same of a data-free attack.
_ATTACKED: Final = {**_SEED, "name": "the attack's key is its name; leave it out"}
#: The same of a named attack's search.
SEARCHED: Final = {
    **_SEED,
    "epsilon": "the preset depends on it; give it next to the preset",
    "steps": "the preset depends on it; give it next to the preset",
    "own": "an attack of your own is named as the preset; give it there",
}


def changed(settings: _Values, *changes: Changes) -> _Values:
    """Lay changes over settings, the later ones over the earlier; raises `RecipeError` for one that is not allowed."""
    return settings.replace(**{key: value for change in changes for key, value in change.items()})


def require_changes(settings: Settings, changes: Changes, elsewhere: Mapping[str, str]) -> None:
    """Raise `NotAllowedError` for changes that settings do not allow, or that are made elsewhere."""
    misplaced = [Problem((name,), (name,), f": {elsewhere[name]}") for name in changes if name in elsewhere]
    found = misplaced or problems(type(settings), dict(settings) | changes)
    if found:
        raise NotAllowedError(found)


def compression_problems(name: str, given: Changes) -> list[Problem]:
    """List what is wrong with the changes of a compression, and of its training."""
    place = ("compress", name)
    train = given.get("train", {})
    found = problems(COMPRESSIONS[name], {"type": name, **{key: one for key, one in given.items() if key != "train"}})
    if not isinstance(train, dict):
        found.append(Problem(("train",), ("train",), f" is {train!r}; it must be a mapping"))
    else:
        try:
            require_changes(TrainSettings(), train, _SEED)
        except NotAllowedError as error:
            found += [problem.below(("train",)) for problem in error.problems]
    return [problem.below(place) for problem in found]


def data_free_problems(name: str, given: Changes) -> list[Problem]:
    """List what is wrong with the changes of a data-free attack."""
    misplaced = [Problem((field,), (field,), f": {_ATTACKED[field]}") for field in given if field in _ATTACKED]
    found = misplaced or problems(DataFree, {"name": name, **given})
    try:
        _known_network(str(given.get("student", DataFree.model_fields["student"].default)))
    except ValueError as error:
        found.append(Problem(("student",), ("student",), f": {error}"))
    return found


def _training_changes(given: Changes) -> Changes:
    require_changes(TrainSettings(), given, _SEED)
    return given


def _thief_changes(given: Changes) -> Changes:
    require_changes(Knockoff(), given, _STOLEN)
    try:
        _known_network(str(given.get("student", Knockoff().student)))
    except ValueError as error:
        raise NotAllowedError([Problem(("student",), ("student",), f": {error}")]) from None
    return given


def _defence_changes(given: dict[str, Changes]) -> dict[str, Changes]:
    for name in given:
        if name not in DEFENCES:
            raise ValueError(unknown_name("defence", name, DEFENCES.names()))
    return given


def _flip_changes(given: Changes) -> Changes:
    require_changes(FlipSettings(), given, _SEED)
    return given


def _differ_changes(given: Changes) -> Changes:
    require_changes(DifferSettings(), given, _SEED)
    return given


def _known_network(name: str) -> str:
    """Check a name of the zoo; a user's own `module:factory` is imported when it is needed."""
    if zoo.library_of(name):
        return name
    if ":" in name:
        module, _, factory = name.partition(":")
        if not all(part.isidentifier() for part in (*module.split("."), factory)):
            raise ValueError("a network of your own is `module:factory`, such as my_package.networks:make")
    elif name not in zoo.names():
        raise ValueError(f"{unknown_name('model', name, zoo.names())}, or module:factory for your own")
    return name


def _study_name(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise ValueError("a study's name has small letters, digits and hyphens, and starts with a letter")
    return name


def _plain_name(name: str) -> str:
    """Check a name that stands in tables, messages and names of files."""
    if not name.strip() or not name.isprintable() or set(name) & set("/\\") or name[0] == "." or len(name) > _LONGEST:
        raise ValueError(
            f"a name is printable, has no slashes, does not start with a dot and has 1 to {_LONGEST} characters; "
            "what is no such name of a data set is given as its `source`"
        )
    return name


def _one_line(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("it is one line of printable text")
    return text


def _each_once(given: tuple[_Item, ...]) -> tuple[_Item, ...]:
    again = [item for place, item in enumerate(given) if item in given[:place]]
    if again:
        raise ValueError(f"{again[0]} is listed twice; give each once")
    return given


DefenceChanges: TypeAlias = Annotated[dict[str, Changes], AfterValidator(_defence_changes)]
FlipChanges: TypeAlias = Annotated[Changes, AfterValidator(_flip_changes)]
DifferChanges: TypeAlias = Annotated[Changes, AfterValidator(_differ_changes)]
TrainingChanges: TypeAlias = Annotated[Changes, AfterValidator(_training_changes)]
ThiefChanges: TypeAlias = Annotated[Changes, AfterValidator(_thief_changes)]
Name: TypeAlias = Annotated[str, AfterValidator(_plain_name)]
Line: TypeAlias = Annotated[str, AfterValidator(_one_line)]
StudyName: TypeAlias = Annotated[str, AfterValidator(_study_name)]
Network: TypeAlias = Annotated[str, AfterValidator(_known_network)]
Source: TypeAlias = Annotated[str, Field(min_length=1)]
Seed: TypeAlias = Annotated[int, Field(ge=0, le=_LARGEST_SEED)]
Size: TypeAlias = ModelSize
Once: TypeAlias = Annotated[tuple[_Item, ...], AfterValidator(_each_once)]
