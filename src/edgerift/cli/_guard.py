"""The option that says by which guard a build abstains."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgerift import defend, deploy, images
from edgerift.cli._fields import Shown
from edgerift.errors import InputError, RecipeError
from edgerift.settings import Document

#: How the help shows the option.
GUARD: Final = Shown(
    group="model",
    advanced=True,
    metavar="SHARE|FILE|none",
    default="that of the build",
    details="A share such as 0.98 is that of the validation images to answer",
)
_ADVICE: Final = "give the share of images to answer such as 0.98, a .guard.json file, or none"


def coverage_of(given: str) -> float | None:
    """Read the share of images to answer, `0.98` or `98%`; None for what is no number.

    >>> coverage_of("98%"), coverage_of("0.5"), coverage_of("model.pte.guard.json")
    (0.98, 0.5, None)
    """
    text, percent = given.strip().removesuffix("%").strip(), given.strip().endswith("%")
    try:
        number = float(text) / (100 if percent else 1)
    except ValueError:
        return None
    if not 0 < number <= 1:
        raise InputError(f"--guard {given} is no share of images; {_ADVICE}")
    return number


def chosen_guard(
    given: str | None, build: deploy.BuildRecipe | deploy.GivenBuild, described: images.ImagesSettings
) -> defend.Guard | defend.GuardRecipe | None:
    """Turn the option into the guard of a file, or the recipe of one that is calibrated on validation images."""
    if given is None:
        return None
    if given == "none":
        return defend.Guard(threshold=0.0)
    coverage = coverage_of(given)
    if coverage is not None:
        return defend.GuardRecipe(build=build, images=described, coverage=coverage)
    return _read(Document(Path(given), "guard", _ADVICE))


def _read(document: Document) -> defend.Guard:
    """Read the file beside a build, or a guard as the store keeps it."""
    content = document.json()
    try:
        if isinstance(content, dict) and content.get("type") == "guard":
            return defend.Guard.model_validate(content)
        read = deploy.GuardFile.model_validate(content)
    except RecipeError as error:
        raise document.refused(str(error)) from None
    return defend.Guard(threshold=read.threshold, space=read.space)
