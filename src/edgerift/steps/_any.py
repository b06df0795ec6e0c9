"""A recipe of any kind as a field of another one, for steps that only use the files that it leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, SerializeAsAny

from edgerift.errors import unknown_name
from edgerift.steps._recipe import Recipe


def _kinds(below: Any = Recipe) -> Iterator[type[Recipe]]:
    for kind in below.__subclasses__():
        yield kind
        yield from _kinds(kind)


def _read(content: Any) -> Any:
    """Make a recipe of its description; raises `ValueError` for a kind that nothing imported so far defines."""
    if not isinstance(content, Mapping):
        return content
    known = {kind.model_fields["type"].default: kind for kind in _kinds()}
    given = content.get("type")
    if given not in known:
        raise ValueError(unknown_name("recipe type", str(given), [name for name in known if isinstance(name, str)]))
    return known[given].model_validate(content)


AnyRecipe: TypeAlias = Annotated[SerializeAsAny[Recipe], BeforeValidator(_read)]
"""A recipe of a kind that the field's owner need not know: it is kept whole, and read back by its `type`."""
