"""The description of one step, which names its result."""

from __future__ import annotations

import hashlib
import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from edgerift.errors import RecipeError
from edgerift.settings import Settings, canonical_json
from edgerift.steps._progress import Progress

if TYPE_CHECKING:
    from edgerift.steps._store import Store

DIGEST_CHARACTERS = 32


class Recipe(Settings, ABC):
    """A frozen description of one step (train, adapt, build, ...) and of the steps it starts from.

    A recipe that is not abstract fixes its `type` and `version` with a literal and its default, and increments the
    version when the same fields give a different result:

    ```python
    class Training(Recipe):
        type: Literal["training"] = "training"
        version: Literal[1] = 1
        epochs: int = 20
    ```

    The steps it starts from are recipes among its fields. A recipe can hold only recipes that were made
    before it, so there are no cycles.
    """

    type: str
    version: int

    @abstractmethod
    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Write the result into `folder`, resuming from what a killed call left there.

        The folder is exclusive to this recipe. It becomes the finished result when this method returns; the names
        `recipe.json` and `SHA256SUMS` in it belong to the store. Results of other recipes come from `store.get(recipe,
        progress)`.
        """

    def canonical_json(self) -> str:
        """Write all fields, defaults too, as JSON with sorted keys: equal recipes have equal text."""
        return canonical_json(self)

    def digest(self) -> str:
        """Return the name of this recipe: the first 32 hexadecimal digits of the SHA-256 of its canonical JSON."""
        text = self.canonical_json().encode()
        return hashlib.sha256(text).hexdigest()[:DIGEST_CHARACTERS]

    def inputs(self) -> tuple[Recipe, ...]:
        """List the recipes this one starts from directly, each once, in the order of the fields."""
        found: dict[str, Recipe] = {}
        for name in type(self).model_fields:
            for recipe in _recipes_in(getattr(self, name)):
                found.setdefault(recipe.canonical_json(), recipe)
        return tuple(found.values())

    def needs(self, store: Store) -> tuple[Recipe, ...]:
        """List the steps that this one depends on, as far as the results in `store` determine them.

        The default is its inputs. A step whose dependencies follow from another result names more as soon as that
        result exists; when all are finished and it names no more, only its own work is left.
        """
        return self.inputs()

    def asked(self, store: Store) -> tuple[Recipe, ...]:
        """List the steps in `store` that this one uses in its own work, beyond those it needs.

        They do not follow from the description, or are parts of its own work; there are none by default.
        """
        return ()

    def named_files(self) -> Mapping[str, str]:
        """Return the SHA-256, in hexadecimal, of result files whose content the recipe determines."""
        return {}

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Refuse a recipe class without a fixed type and version; raises `RecipeError`."""
        if inspect.isabstract(cls):
            return
        kind, version = _fixed(cls.model_fields["type"]), _fixed(cls.model_fields["version"])
        if not (isinstance(kind, str) and re.fullmatch(r"[a-z][a-z0-9_-]*", kind)):
            raise RecipeError(
                f'{cls.__name__}.type must be one fixed name in lower case, written as `type: Literal["name"] = "name"`'
            )
        if not (isinstance(version, int) and version >= 1):
            raise RecipeError(
                f"{cls.__name__}.version must be one fixed whole number from 1, written as `version: Literal[1] = 1`"
            )


def _fixed(field: FieldInfo) -> object:
    """The value of a field that is a literal of one value with that value as its default, else None."""
    values = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    return values[0] if len(values) == 1 and field.default == values[0] else None


def _recipes_in(value: object) -> Iterator[Recipe]:
    if isinstance(value, Recipe):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _recipes_in(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _recipes_in(item)
    elif isinstance(value, tuple | list | set | frozenset):
        for item in value:
            yield from _recipes_in(item)
