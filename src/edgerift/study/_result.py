"""What a study found: the reports of all its cells, in one document."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from edgerift.deploy import Target
from edgerift.harden import DataFreeComparison, DataFreeHardenRecipe, Hardening, HardenRecipe
from edgerift.recipes import Progress, Settings, silent
from edgerift.study._graph import key_of
from edgerift.study._grid import Cell
from edgerift.study._pairs import PairRecipe, PairReport
from edgerift.study._records import Records
from edgerift.study._settings import Adaptation, Study

if TYPE_CHECKING:
    from edgerift.store import Store


class PairCell(Settings):
    """An adapted model under attack, and where it stands in the grid."""

    data: str
    original: str
    seed: int
    adaptation: Adaptation
    report: PairReport


class TheftCell(Settings):
    """A comparison of hardened victims, and where it stands in the grid."""

    data: str
    original: str
    seed: int
    target: Target
    hardening: Hardening


class DataFreeCell(Settings):
    """Thefts without images, and where they stand in the grid."""

    data: str
    original: str
    seed: int
    comparison: DataFreeComparison


class MissingCell(Settings):
    """A cell without a result, and the line about its own failure where it failed."""

    name: str
    error: str | None


class StudyResult(Settings):
    """All that the tables and figures of a study are made of."""

    type: Literal["study-result"] = "study-result"
    version: Literal[1] = 1
    edgerift: str
    profile: str
    study: Study
    pairs: tuple[PairCell, ...]
    thefts: tuple[TheftCell, ...]
    data_free: tuple[DataFreeCell, ...] = ()
    missing: tuple[MissingCell, ...]


def collect(
    study: Study, profile: str, cells: tuple[Cell, ...], store: Store, progress: Progress = silent
) -> StudyResult:
    """Read the reports of the cells that are finished, and name the others."""
    pairs: list[PairCell] = []
    thefts: list[TheftCell] = []
    data_free: list[DataFreeCell] = []
    missing: list[MissingCell] = []
    records = Records(store)
    for cell in cells:
        recipe = cell.recipe
        place = {"data": cell.data, "original": cell.original, "seed": cell.seed}
        if not store.has(recipe):
            record = records.read(key_of(recipe))
            missing.append(MissingCell(name=cell.name, error=None if record is None else record.error))
        elif isinstance(recipe, PairRecipe):
            report = recipe.open(store, progress)
            pairs.append(PairCell.model_validate({**place, "adaptation": cell.kind, "report": report}))
        elif isinstance(recipe, DataFreeHardenRecipe):
            data_free.append(DataFreeCell.model_validate({**place, "comparison": recipe.open(store, progress)}))
        else:
            assert isinstance(recipe, HardenRecipe)
            hardening = recipe.open(store, progress)
            thefts.append(TheftCell.model_validate({**place, "target": cell.kind, "hardening": hardening}))
    return StudyResult(
        edgerift=version("edgerift"),
        profile=profile,
        study=study,
        pairs=tuple(pairs),
        thefts=tuple(thefts),
        data_free=tuple(data_free),
        missing=tuple(missing),
    )
