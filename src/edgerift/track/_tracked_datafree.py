"""What tracking tells of thefts without images: their figures, and their curves over the questions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from edgerift.extract import CurvePoint
from edgerift.harden import DataFreeComparison, DataFreeEntry, DataFreeHardenRecipe
from edgerift.measure import Interval, MeanInterval
from edgerift.run import key_of
from edgerift.steps import Recipe, silent

if TYPE_CHECKING:
    from edgerift.steps import Store


class DataFreePoint(NamedTuple):
    """One figure: a single one at step 0, or one of a curve, whose steps are questions."""

    name: str
    value: float
    step: int = 0


def data_free_steps(recipe: DataFreeHardenRecipe, store: Store) -> Iterator[tuple[str, Recipe]]:
    """Give the thefts of a finished comparison, each under its name; not those of a row whose search is elsewhere."""
    entries = recipe.open(store, silent).entries
    for name in recipe.compared:
        if not all((store.root / key_of(step)).is_dir() for step in recipe.victims.choosing(name)):
            continue
        thefts = recipe.thefts(recipe.victims.made(name, store, silent))
        own = (entry for entry in entries if entry.victim == name)
        for entry, (_, theft) in zip(own, thefts, strict=True):
            yield _label(entry), theft


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
        yield DataFreePoint(f"{label}.spent", float(entry.theft.spent))
        for point in entry.theft.curve:
            for name, found in _measures(point).items():
                if found is not None:
                    yield DataFreePoint(f"{label}.curve.{name}", found, point.queries)


def _measures(point: CurvePoint) -> dict[str, float | None]:
    """Give what a point of a curve tells, by name."""
    measured = point.measured
    masking = None if measured is None else measured.masking
    return {
        "clone_loss": point.clone_loss,
        "zero_share": point.zero_share,
        "error": None if measured is None else measured.error,
        "disagreement": None if measured is None else measured.disagreement,
        "divergence": None if measured is None else measured.divergence,
        "correlation": None if masking is None else masking.correlation,
        "ratio": None if masking is None else masking.ratio,
    }


def _label(entry: DataFreeEntry) -> str:
    parts = [entry.victim.replace("+", "_"), entry.attack]
    parts += [] if entry.epsilon is None else [f"epsilon-{entry.epsilon:g}"]
    parts += [] if entry.control is None else [entry.control.replace(" ", "-")]
    return ".".join(parts)
