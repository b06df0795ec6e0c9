"""Documents among a step's results."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from edgerift.errors import RecipeError, StoreError
from edgerift.settings import Document, Settings

Content = TypeVar("Content", bound=Settings)


def read_document(kind: type[Content], path: Path) -> Content:
    """Read a JSON document that a step wrote; raises `StoreError` for a file that is missing or damaged."""
    content = Document(path, "result", "delete its folder and run again", StoreError).content()
    try:
        return kind.model_validate_json(content)
    except RecipeError as error:
        raise StoreError(f"{path} is damaged ({error}); delete its folder and run again") from None
