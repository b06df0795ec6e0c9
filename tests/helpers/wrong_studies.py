"""Study files with something wrong in them."""

from pathlib import Path

import pytest

from edgerift.errors import RecipeError
from edgerift.study import Study, read_study


def read_text(folder: Path, text: str, profile: str = "as_it_is") -> Study:
    """Write a study's file and read it."""
    path = folder / "study.yaml"
    path.write_text(text)
    return read_study(path, profile)


def require_told(folder: Path, text: str, change: tuple[str, str], line: int, told: str | None) -> None:
    """Change a file in one place, and fail unless the mistake is told in one line with its place; None: it is none."""
    assert text.count(change[0]) == 1
    changed = text.replace(*change)
    if told is None:
        read_text(folder, changed)
        return
    with pytest.raises(RecipeError) as caught:
        read_text(folder, changed)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert f"{folder / 'study.yaml'}:{line}: " in message
    assert told in message
    assert "ValueError" not in message
