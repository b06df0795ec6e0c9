"""A recipe back from its JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from edgerift.errors import RecipeError, first_line, unknown_name
from edgerift.settings import parse_json
from edgerift.steps._recipe import Recipe


def read(json_text: str | bytes, known: Iterable[type[Recipe]]) -> Recipe:
    """Read a recipe of one of the `known` classes, the recipes inside it too.

    Raises `RecipeError` for text that is not JSON, an unknown type, a version that this edgerift does not read, and
    every invalid value.
    """
    classes = {cls.model_fields["type"].default: cls for cls in known}
    try:
        content = parse_json(json_text)
    except ValueError as error:
        raise RecipeError(
            f"this recipe is not JSON: {first_line(error)}; give the text that canonical_json() wrote"
        ) from None
    if not (isinstance(content, dict) and isinstance(content.get("type"), str) and "version" in content):
        raise RecipeError("this JSON is no recipe; a recipe is an object with the fields 'type' and 'version'")
    if content["type"] not in classes:
        raise RecipeError(unknown_name("recipe type", content["type"], classes))
    recipe = _revive(content, classes)
    assert isinstance(recipe, Recipe)
    return recipe


def _revive(content: Any, classes: Mapping[str, type[Recipe]]) -> Any:
    """Turn every object with a known type and a version into its recipe, from the innermost out."""
    if isinstance(content, list):
        return [_revive(item, classes) for item in content]
    if not isinstance(content, dict):
        return content
    values = {name: _revive(item, classes) for name, item in content.items()}
    kind = values.get("type")
    if not isinstance(kind, str) or kind not in classes or "version" not in values:
        return values
    cls = classes[kind]
    version = cls.model_fields["version"].default
    if values["version"] != version:
        raise RecipeError(
            f"a '{kind}' recipe has version {values['version']!r}; this edgerift reads version {version}: "
            "use the edgerift that wrote it, or make the recipe again"
        )
    return cls.model_validate(values)
