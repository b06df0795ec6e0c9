"""Refuse, before an audit begins and not hours later, files of the user's own where its results would go."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgerift.audit._evidence import FINDINGS, SAMPLES
from edgerift.audit._opened import models
from edgerift.evade import PairSettings
from edgerift.steps import HeldFolder, Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: What the command line writes beside an audit.
REPORTS: Final = ("report.html", "report.sarif", "report.junit.xml", "summary.md")


def require_room(
    pair: PairSettings, held: HeldFolder, store: Store, names: Iterable[str], known: Iterable[str]
) -> None:
    """Check that no file of the user's own is where a model, the findings or a file of `names` would go.

    A model that is the same is not in the way, and one that is not made yet is not known; `known` are the files of an
    audit whose folder does not list them. Raises `StoreError`.
    """
    held.require_room(
        {**dict.fromkeys((*names, SAMPLES, f"{FINDINGS}/finding")), **dict(_models(pair, held.path, store))},
        known=known,
    )


def _models(pair: PairSettings, folder: Path, store: Store) -> Iterator[tuple[str, str]]:
    """Return the SHA-256 of each model whose name is taken, where that is known."""
    for recipe, name in models(pair):
        digest = recipe.named_files().get(name)
        if digest is None and (folder / name).exists():
            finished = store.find(recipe)
            digest = None if finished is None else hashlib.sha256((finished / name).read_bytes()).hexdigest()
        if digest is not None:
            yield name, digest
