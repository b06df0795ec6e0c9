"""Fields that a specification leaves out where they have their default."""

from __future__ import annotations

from typing import Any

from pydantic import Field


def field(default: Any, **rules: Any) -> Any:
    """Declare a field that is left out of documents and keys as long as it is `default`."""
    return Field(default=default, exclude_if=lambda value: bool(value == default), **rules)
