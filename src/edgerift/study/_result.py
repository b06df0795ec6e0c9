"""What a study found: the reports of all its cells, in one document."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal, TypeAlias

from edgerift.adapt import AdaptationName
from edgerift.deploy import Target
from edgerift.errors import StoreError
from edgerift.extract import AttackName
from edgerift.harden import DataFreeComparison, DataFreeHardenRecipe, Hardening, HardenRecipe
from edgerift.run import Key, Records, key_of
from edgerift.settings import Settings
from edgerift.steps import Progress, silent
from edgerift.study._grid import Cell
from edgerift.study._pairs import PairRecipe, PairReport
from edgerift.study._settings import Study

if TYPE_CHECKING:
    from edgerift.steps import Store


class PairCell(Settings):
    """An adapted model under attack, where it stands in the grid, and the key of its recipe."""

    key: Key
    data: str
    original: str
    seed: int
    adaptation: AdaptationName
    report: PairReport


class TheftCell(Settings):
    """A comparison of hardened victims, where it stands in the grid, and the key of its recipe."""

    key: Key
    data: str
    original: str
    seed: int
    target: Target
    hardening: Hardening


class DataFreeCell(Settings):
    """Data-free extractions by one attack, where they stand in the grid, and the key of their recipe."""

    key: Key
    data: str
    original: str
    seed: int
    attack: AttackName
    comparison: DataFreeComparison


FinishedCell: TypeAlias = PairCell | TheftCell | DataFreeCell


class MissingCell(Settings):
    """A cell without a result, and the line about its own failure where it failed."""

    name: str
    error: str | None


class StudyResult(Settings):
    """All that the tables and figures of a study are made of."""

    type: Literal["study-result"] = "study-result"
    version: Literal[2] = 2
    edgerift: str
    profile: str
    study: Study
    pairs: tuple[PairCell, ...]
    thefts: tuple[TheftCell, ...]
    data_free: tuple[DataFreeCell, ...] = ()
    missing: tuple[MissingCell, ...]


def collect(
    study: Study,
    profile: str,
    cells: tuple[Cell, ...],
    store: Store,
    progress: Progress = silent,
    known: Iterable[StudyResult] = (),
) -> StudyResult:
    """Read the reports of the cells that are finished, and name the others, with what is wrong where one is damaged.

    What the store lacks is taken from the results `known` where one has a cell of the same recipe.
    """
    elsewhere = known_cells(known)
    found: list[FinishedCell] = []
    missing: list[MissingCell] = []
    records = Records(store)
    for cell in cells:
        key = key_of(cell.recipe)
        error = None
        try:
            if store.has(cell.recipe):
                found.append(_finished(cell, key, store, progress))
                continue
        except StoreError as damage:
            error = str(damage)
        if key in elsewhere:
            found.append(elsewhere[key].replace(data=cell.data, original=cell.original, seed=cell.seed))
            continue
        record = records.read(key)
        missing.append(MissingCell(name=cell.name, error=error or (None if record is None else record.error)))
    return StudyResult(
        edgerift=version("edgerift"),
        profile=profile,
        study=study,
        pairs=tuple(cell for cell in found if isinstance(cell, PairCell)),
        thefts=tuple(cell for cell in found if isinstance(cell, TheftCell)),
        data_free=tuple(cell for cell in found if isinstance(cell, DataFreeCell)),
        missing=tuple(missing),
    )


def known_cells(results: Iterable[StudyResult]) -> dict[Key, FinishedCell]:
    """List the cells of some results by the keys of their recipes; of two alike the first."""
    found: dict[Key, FinishedCell] = {}
    for result in results:
        cells: list[FinishedCell] = [*result.pairs, *result.thefts, *result.data_free]
        for cell in cells:
            found.setdefault(cell.key, cell)
    return found


def _finished(cell: Cell, key: Key, store: Store, progress: Progress) -> FinishedCell:
    """Read the report of a finished cell."""
    recipe = cell.recipe
    place = {"key": key, "data": cell.data, "original": cell.original, "seed": cell.seed}
    if isinstance(recipe, PairRecipe):
        return PairCell.model_validate({**place, "adaptation": cell.kind, "report": recipe.open(store, progress)})
    if isinstance(recipe, DataFreeHardenRecipe):
        place["attack"] = recipe.attacks[0].name
        return DataFreeCell.model_validate({**place, "comparison": recipe.open(store, progress)})
    assert isinstance(recipe, HardenRecipe)
    return TheftCell.model_validate({**place, "target": cell.kind, "hardening": recipe.open(store, progress)})
