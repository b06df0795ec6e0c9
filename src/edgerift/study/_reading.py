"""From a file and a profile to a study, with the line of everything that is wrong."""

from __future__ import annotations

from pathlib import Path

from edgerift.errors import RecipeError
from edgerift.recipes import problems
from edgerift.study._settings import Study
from edgerift.study._yaml import read_profile

_SHOWN = 5


def read_study(path: Path, profile: str) -> Study:
    """Read one profile of a study's file.

    Raises :class:`~edgerift.errors.RecipeError` of one line: for each value that is not allowed the file's line, where
    it stands, what was given and what is allowed.
    """
    tree = read_profile(Path(path), profile)
    content = tree.plain()
    found = problems(Study, content)
    if found:
        told = [f"{path}:{tree.line_at(problem.place)}: {problem.text}" for problem in found[:_SHOWN]]
        more = len(found) - len(told)
        raise RecipeError("; ".join(told) + (f"; and {more} more" if more else ""))
    return Study.model_validate(content)
