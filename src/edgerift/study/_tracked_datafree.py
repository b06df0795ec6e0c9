"""What tracking tells of thefts without images: their figures, and their curves over the questions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from edgerift.harden import DataFreeComparison, DataFreeEntry, DataFreeHardenRecipe, make_row
from edgerift.measure import Interval, MeanInterval
from edgerift.recipes import Recipe, silent

if TYPE_CHECKING:
    from edgerift.store import Store


class DataFreePoint(NamedTuple):
    """One figure: a single one at step 0, or one of a curve, whose steps are questions."""

    name: str
    value: float
    step: int = 0


def data_free_steps(recipe: DataFreeHardenRecipe, store: Store) -> Iterator[tuple[str, Recipe]]:
    """Give the thefts of a finished comparison, each under its name."""
    comparison = recipe.open(store, silent)
    rows = (make_row(name, recipe.victims, store, silent) for name in recipe.compared)
    thefts = (theft for row in rows for _, theft in recipe.thefts(row))
    yield from zip(map(_label, comparison.entries), thefts, strict=True)


def data_free_points(comparison: DataFreeComparison) -> Iterator[DataFreePoint]:
    """Give the figures of each theft, and its curve."""
    for entry in comparison.entries:
        label = _label(entry)
        for name in type(entry.theft).model_fields:
            value = getattr(entry.theft, name)
            if isinstance(value, Interval | MeanInterval):
                for part in ("value", "low", "high"):
                    ending = "" if part == "value" else f".{part}"
                    yield DataFreePoint(f"{label}.{name}{ending}", getattr(value, part))
        for point in entry.theft.curve:
            yield DataFreePoint(f"{label}.curve.clone_loss", point.clone_loss, point.queries)
            if point.zero_share is not None:
                yield DataFreePoint(f"{label}.curve.zero_share", point.zero_share, point.queries)
            if point.measured is not None:
                yield DataFreePoint(f"{label}.curve.error", point.measured.error, point.queries)
                yield DataFreePoint(f"{label}.curve.disagreement", point.measured.disagreement, point.queries)


def _label(entry: DataFreeEntry) -> str:
    parts = [entry.victim.replace("+", "_"), entry.attack]
    parts += [] if entry.epsilon is None else [f"epsilon-{entry.epsilon:g}"]
    parts += [] if entry.control is None else [entry.control.replace(" ", "-")]
    return ".".join(parts)
