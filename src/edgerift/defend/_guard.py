"""Calibrating a guard on a build's own answers to validation images, as a step that the store keeps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field

from edgerift.deploy import Build, BuildRecipe, GivenBuild, OpenedBuild, opened_build
from edgerift.images import ImageSet, ImagesSettings, open_splits
from edgerift.measure import Logits, predict_all
from edgerift.settings import Document
from edgerift.specification import Guard
from edgerift.steps import Progress, Recipe, write_whole

if TYPE_CHECKING:
    from edgerift.steps import Store

GUARD: Final = "guard.json"


def calibrated_guard(build: Build, validation: ImageSet, coverage: float) -> Guard:
    """Calibrate a guard on what a build answers to validation images; see :meth:`Guard.calibrate`.

    Raises :class:`~edgerift.errors.InputError` without images or for another coverage, and
    :class:`~edgerift.errors.ModelError` for scores that are not finite.
    """
    answer = Logits(build.predict, "the build")
    scores = predict_all(answer, validation)
    told = isinstance(build, OpenedBuild) and build.specification.output.kind == "probabilities"
    probabilities = told or answer.are_probabilities
    return Guard.calibrate(scores, coverage, space="log-probabilities" if probabilities else "logits")


class GuardRecipe(Recipe):
    """Calibrate a guard for a build, to answer a share `coverage` of the validation images: `guard.json`."""

    type: Literal["calibrate-guard"] = "calibrate-guard"
    version: Literal[1] = 1
    build: Annotated[BuildRecipe | GivenBuild, Field(discriminator="type")]
    images: ImagesSettings
    coverage: Annotated[float, Field(gt=0, le=1)]

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Ask the build about the validation images, and write the guard into `folder`."""
        build = opened_build(self.build, store, progress)
        guard = calibrated_guard(build, open_splits(self.images).validation, self.coverage)
        write_whole(folder / GUARD, guard.model_dump_json() + "\n")

    def open(self, store: Store, progress: Progress) -> Guard:
        """Read the guard, calibrated when missing."""
        return Document(store.get(self, progress) / GUARD, "guard", "calibrate it again").settings(Guard)
