"""The base of every configuration: frozen, closed to unknown fields, with errors of one line."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from edgerift.errors import RecipeError
from edgerift.settings._wording import wording


def is_empty(value: Sized) -> bool:
    """Say whether a field is empty: one that came later is then left out of a recipe's text."""
    return len(value) == 0


def is_none(value: object) -> bool:
    """Tell whether a value is None; with `Field(exclude_if=is_none)` a later field keeps old keys as they are.

    >>> is_none(None), is_none(0)
    (True, False)
    """
    return value is None


class Settings(BaseModel):
    """Values that are checked once, when they are given, and never change after.

    Unknown fields, NaN and infinity are refused. Every way to make one (the constructor, `model_validate`,
    `model_validate_json`, `replace`) raises `RecipeError`, one line with the path of the field, the value
    given and what is allowed. A validator of a subclass raises `ValueError` with the rule as its text; the
    path is added here.

    >>> class Schedule(Settings):
    ...     epochs: int = 1
    >>> Schedule(epoch=3)
    Traceback (most recent call last):
    ...
    edgerift.errors.RecipeError: Schedule: unknown field 'epoch'; did you mean 'epochs'? Known: epochs
    """

    model_config = ConfigDict(
        # What is never made costs nothing: a help text has the fields alone.
        defer_build=True,
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_default=True,
        protected_namespaces=(),
    )

    def __init__(self, **values: Any) -> None:
        """Check the values; raises `RecipeError` when one is not allowed."""
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise RecipeError(wording(type(self), error)) from None

    # pydantic would call a constructor of our own for nested values too, where the path of the field is lost.
    # With this mark, which its own constructor carries, it does not.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse: settings never change. Raises `RecipeError`."""
        try:
            super().__setattr__(name, value)
        except ValidationError:
            kind = type(self).__name__
            raise RecipeError(
                f"{kind}.{name} cannot be set to {value!r}: settings never change; use replace({name}=...)"
            ) from None

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Make one from a mapping, or check an instance; raises `RecipeError`."""
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            raise RecipeError(wording(cls, error)) from None

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Make one from JSON text; raises `RecipeError`."""
        try:
            content = json_data.encode() if isinstance(json_data, str) else json_data
            return super().model_validate_json(content, **options)
        except ValidationError as error:
            raise RecipeError(wording(cls, error)) from None
        except UnicodeEncodeError:
            raise RecipeError(f"{cls.__name__}: this is not JSON: half a character stands in it") from None

    def replace(self, **changes: Any) -> Self:
        """Make a copy with some fields changed, all checked again (`model_copy` checks nothing).

        >>> class Schedule(Settings):
        ...     epochs: int = 1
        >>> Schedule().replace(epochs=3)
        Schedule(epochs=3)
        """
        fields = type(self).model_fields
        return type(self)(**{name: getattr(self, name) for name in fields} | changes)
