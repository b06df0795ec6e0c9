"""From a file and a profile to a study, with the line of every error."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

from edgerift import zoo
from edgerift.errors import InputError, ModelError, RecipeError
from edgerift.evade import is_own
from edgerift.settings import Node, Place, Problem, settings_of
from edgerift.study._grid import Cell, make_cells
from edgerift.study._settings import Study
from edgerift.study._yaml import document, profile_names, read_profile

_USUAL = "small"


@final
@dataclass(frozen=True)
class StudyFile:
    """A study and its file: later errors are reported with the line too."""

    study: Study
    path: Path
    tree: Node
    profile: str

    def where(self, place: Place) -> str:
        """Return where a value of the study is, as a prefix of errors."""
        return f"{self.path}:{self.tree.line_at(place)}: "

    def cells(self, data_root: Path | None = None) -> tuple[Cell, ...]:
        """Make every cell; raises what :func:`make_cells` raises, with the file's line."""
        return make_cells(self.study, data_root, self.where)

    def require_networks(self) -> None:
        """Raise :class:`~edgerift.errors.ModelError` for a `module:factory` or a library whose package is missing.

        Only the top-level package is searched for, which runs none of its code. Errors inside it are raised by the step
        that imports it.
        """
        for place, name in _networks(self.study):
            if not (zoo.library_of(name) or zoo.is_users_own(name)) or zoo.is_file(name):
                continue  # The step that imports a file searches for it.
            package = name.partition(":")[0].partition(".")[0]
            if not _is_there(package):
                extra = f"pip install 'edgerift[{package}]'"
                mend = extra if zoo.library_of(name) else "install it, or name its folder in PYTHONPATH"
                rest = f" is '{name}'; there is no '{package}' here: {mend}"
                raise ModelError(self.where(place) + Problem(place, place, rest).text)

    def require_trust(self) -> None:
        """Raise :class:`~edgerift.errors.InputError` for a user's own code, which the steps import and run."""
        networks = ((place, name) for place, name in _networks(self.study) if zoo.is_users_own(name))
        for place, name in (*networks, *_own_attacks(self.study)):
            rest = f" asks to import and run '{name}'; pass --trust if you know that code"
            raise InputError(self.where(place) + Problem(place, place, rest).text)


def read_study(path: Path, profile: str | None = None) -> Study:
    """Read one profile of a study's file; raises what :func:`open_study` raises."""
    return open_study(path, profile).study


def open_study(path: Path, profile: str | None = None) -> StudyFile:
    """Read one profile of a study's file, and keep the lines of its values.

    The default is the profile `small`, or the only one in the file.

    Raises :class:`~edgerift.errors.RecipeError` of one line: for each invalid value the file's line, its place, the
    given value and what is allowed.
    """
    profile = _usual_profile(Path(path)) if profile is None else profile
    tree = read_profile(Path(path), profile)
    return StudyFile(settings_of(tree, Study, document(Path(path))), Path(path), tree, profile)


def _usual_profile(path: Path) -> str:
    names = profile_names(path)
    if _USUAL in names or len(names) == 1:
        return _USUAL if _USUAL in names else names[0]
    raise RecipeError(f"{path} has the profiles {', '.join(names)}; choose one with --profile")


def _networks(study: Study) -> Iterator[tuple[Place, str]]:
    """List the user networks that a study names, with their places."""
    for name, network in study.originals.items():
        yield ("originals", name, "model"), network.model
    for name, data in study.data.items():
        yield from ((("data", name, "students", place), student) for place, student in enumerate(data.students or ()))
    if study.theft is None:
        return
    yield ("theft", "attack", "student"), study.theft.knockoff.student
    yield from ((("theft", "students", place), student) for place, student in enumerate(study.theft.students))
    if study.theft.data_free is not None:
        for attack in study.theft.data_free.thieves(0):
            yield ("theft", "data_free", "attacks", attack.name, "student"), attack.student


def _own_attacks(study: Study) -> Iterator[tuple[Place, str]]:
    """List the user's own attacks that a study names, with their places."""
    for name, choice in study.evasion.attacks.items() if study.evasion is not None else ():
        if is_own(choice.preset):
            yield ("evasion", "attacks", name, "preset"), choice.preset


def _is_there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:
        # A module without a specification is one that was imported already, such as the program itself.
        return True
