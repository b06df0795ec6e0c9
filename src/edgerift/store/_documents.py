"""Documents among a step's results."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from edgerift.errors import RecipeError, StoreError
from edgerift.recipes import Settings

Document = TypeVar("Document", bound=Settings)


def read_document(kind: type[Document], path: Path) -> Document:
    """Read a JSON document that a step wrote; raises `StoreError` for a file that is missing or damaged."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, RecipeError) as error:
        raise StoreError(f"{path} is damaged ({error}); delete its folder and run again") from None
