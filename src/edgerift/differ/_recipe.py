"""Differential testing as a step that the store keeps: the search, its control, and the images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field
from torch import Tensor

from edgerift.differ._differences import Differences, DifferPart
from edgerift.differ._search import differ, differ_at_random
from edgerift.differ._settings import DifferSettings
from edgerift.evade import PairSettings, png_bytes
from edgerift.images import ImagesSettings, open_splits
from edgerift.measure import mcnemar
from edgerift.settings import Count, Settings, is_none
from edgerift.steps import Progress, Recipe, read_document, write_whole

if TYPE_CHECKING:
    from edgerift.steps import Store

REPORT: Final = "differences.json"


class DifferFinding(Settings):
    """One image on which the models differ: its file, its place in the set, and both answers as class numbers."""

    file: str
    index: int
    original: int
    build: int
    label: int | None


class DifferReport(Settings):
    """A search for differences beside random changes of the same kind and cost.

    `only_search` and `only_control` count the images that one of them found alone, and `p` is McNemar's exact test of
    these. Findings are those of the search.
    """

    type: Literal["differences"] = "differences"
    version: Literal[1] = 1
    data: str
    runtime: str
    settings: DifferSettings
    search: DifferPart
    control: DifferPart
    only_search: int
    only_control: int
    p: float
    findings: tuple[DifferFinding, ...]


class DifferRecipe(Recipe):
    """Search images for differences of a pair: `differences.json`, and each finding as a PNG file.

    The test images of `images` are searched, or the training images of `unlabelled`, whose labels are not read; the
    first `count` of them.
    """

    type: Literal["differ"] = "differ"
    version: Literal[1] = 1
    pair: PairSettings
    images: ImagesSettings
    unlabelled: ImagesSettings | None = Field(default=None, exclude_if=is_none)
    settings: DifferSettings = Field(default_factory=DifferSettings)
    count: Count | None = None

    def needs(self, store: Store) -> tuple[Recipe, ...]:
        """List what the pair is made of."""
        return self.pair.opened

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Search, and write the report and the images into `folder`."""
        pair, steering = self.pair.open(store, progress)
        test = open_splits(self.images).test if self.unlabelled is None else open_splits(self.unlabelled).train
        test = test if self.count is None else test.select(range(min(self.count, len(test))))
        labels = test.labels if self.unlabelled is None else None
        found = differ(pair, test.images, self.settings, steering=steering, progress=progress)
        control = differ_at_random(pair, test.images, self.settings, progress=progress)
        first, second = (found.found & ~control.found).sum(), (control.found & ~found.found).sum()
        report = DifferReport(
            data=test.name,
            runtime=pair.build.runtime,
            settings=self.settings,
            search=found.part(labels),
            control=control.part(labels),
            only_search=int(first),
            only_control=int(second),
            p=mcnemar(int(first), int(second)),
            findings=_findings(found, labels, folder),
        )
        write_whole(folder / REPORT, report.model_dump_json(indent=2) + "\n")

    def open(self, store: Store, progress: Progress) -> DifferReport:
        """Read the report, made when missing."""
        return read_document(DifferReport, store.get(self, progress) / REPORT)


def _findings(found: Differences, labels: Tensor | None, folder: Path) -> tuple[DifferFinding, ...]:
    written = []
    for row in found.found.nonzero()[:, 0].tolist():
        file = f"difference-{row:06d}.png"
        write_whole(folder / file, png_bytes(found.images[row]))
        answers = {"original": int(found.original[row]), "build": int(found.build[row])}
        label = None if labels is None else int(labels[row])
        written.append(DifferFinding(file=file, index=row, label=label, **answers))
    return tuple(written)
