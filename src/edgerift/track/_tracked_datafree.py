"""The data-free attacks whose pictures tracking logs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgerift.harden import DataFreeEntry, DataFreeHardenRecipe
from edgerift.run import key_of
from edgerift.steps import Recipe, silent

if TYPE_CHECKING:
    from edgerift.steps import Store


def data_free_steps(recipe: DataFreeHardenRecipe, store: Store) -> Iterator[tuple[str, Recipe]]:
    """Give the data-free attacks of a finished comparison by name; not those of a row whose search is elsewhere."""
    entries = recipe.open(store, silent).entries
    for name in recipe.compared:
        if not all((store.root / key_of(step)).is_dir() for step in recipe.victims.choosing(name)):
            continue
        thefts = recipe.thefts(recipe.victims.made(name, store, silent))
        own = (entry for entry in entries if entry.victim == name)
        for entry, (_, theft) in zip(own, thefts, strict=True):
            yield _label(entry), theft


def _label(entry: DataFreeEntry) -> str:
    parts = [entry.victim.replace("+", "_"), entry.attack]
    parts += [] if entry.epsilon is None else [f"epsilon-{entry.epsilon:g}"]
    parts += [] if entry.control is None else [entry.control.replace(" ", "-")]
    return ".".join(parts)
