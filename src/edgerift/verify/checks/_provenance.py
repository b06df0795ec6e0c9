"""Whether the digests that travel with a build are those of the files at hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from edgerift.adapt import GivenOriginal, read_original, weights_digest
from edgerift.images import resolve
from edgerift.verify._document import CheckPart
from edgerift.verify._evidence import CHECKS, Check, Evidence
from edgerift.verify._statement import file_digest

_NAME = "provenance"


def _run(evidence: Evidence) -> Iterator[CheckPart]:
    compared = list(_compared(evidence))
    if not compared:
        return
    wrong = [f"{what} is {found[:16]}, stated is {stated[:16]}" for what, stated, found in compared if stated != found]
    text = "; ".join(wrong) or f"as stated: {', '.join(what for what, _, _ in compared)}"
    figures = {"compared": float(len(compared)), "wrong": float(len(wrong))}
    yield CheckPart(name=_NAME, verdict="deviates" if wrong else "conforms", text=text, figures=figures)


def _compared(evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    """What is stated somewhere: its name, what is stated, and what is found."""
    program, recipe = evidence.program, evidence.recipe
    if program is not None and program.provenance.original:
        yield "original of the program", program.provenance.original, weights_digest(evidence.original)
    yield from _of_statement(evidence)
    for build in evidence.builds:
        if build.stated.get("sha256"):
            yield f"{build.runtime} build", build.stated["sha256"], build.sha256
    if recipe is None:
        return
    if (
        isinstance(recipe.original, GivenOriginal)
        and recipe.original.model is None
        and evidence.original_file is not None
    ):
        yield "original of the recipe", recipe.original.sha256, _digest(evidence.original_file)
    if recipe.images.fingerprint:
        yield "images of the recipe", recipe.images.fingerprint, resolve(recipe.images).fingerprint
    if program is not None:
        yield "method", recipe.method, program.provenance.method
        yield "target", recipe.target, program.target
        yield "settings", str(_settings(evidence)), str(program.provenance.settings)


def _of_statement(evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    """What the maker's statement says of the files at hand, and whether it is signed with the key that was given."""
    statement = evidence.statement
    if statement is None:
        return
    if statement.signed is not None:
        yield "signature of the statement", "by this key", "by this key" if statement.signed else "by none"
    for build in evidence.builds:
        found = file_digest(build.path)
        yield f"{build.path.name} of the statement", statement.subjects.get(build.path.name, "(not named)"), found
    if evidence.original_file is not None and statement.materials:
        original, found = evidence.original_file, file_digest(evidence.original_file)
        known = found if found in statement.materials.values() else next(iter(statement.materials.values()))
        yield f"{original.name} of the statement", known, found


def _digest(path: Path) -> str:
    return hashlib.sha256(read_original(path)).hexdigest()


def _settings(evidence: Evidence) -> object:
    recipe = evidence.recipe
    assert recipe is not None
    settings = recipe.settings.calibration if recipe.method == "ptq" else recipe.settings
    return settings.model_dump(mode="json")


CHECKS.register(_NAME, Check(_run, needs="a program or a card"), rank=7)
