"""`edgerift store`: what is kept, whether it is intact, and taking away what nobody needs."""

from __future__ import annotations

import inspect
import re
import time
from abc import ABC
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal, final

import tyro
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgerift import steps as upkeep
from edgerift.cli._options import Json
from edgerift.cli._terminal import progress_bars, show
from edgerift.errors import InputError, RecipeError
from edgerift.settings import Settings, is_file
from edgerift.steps import Entry, Recipe, Store, Verdict, default_root, read
from edgerift.steps._store import WORK_FOLDER

_SECONDS: Final = {"m": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES: Final = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


class StoredEntry(Settings):
    """One result, or unfinished work: `used` is in seconds since 1970, `size` in bytes."""

    name: str
    state: Literal["finished", "unfinished", "running"]
    size: int
    used: float


class StoreListing(Settings):
    """What `edgerift store ls --json` prints, what was used last at the end."""

    type: Literal["store-listing"] = "store-listing"
    version: Literal[1] = 1
    store: str
    size: int
    entries: tuple[StoredEntry, ...]


class DamagedEntry(Settings):
    """A result that is not as it was written, what is wrong with it, and whether it was removed."""

    name: str
    damage: str
    removed: bool


class StoreVerification(Settings):
    """What `edgerift store verify --json` prints; `unsealed` results are of an earlier edgerift."""

    type: Literal["store-verification"] = "store-verification"
    version: Literal[1] = 1
    store: str
    intact: int
    unsealed: tuple[str, ...]
    damaged: tuple[DamagedEntry, ...]


class StoreCollection(Settings):
    """What `edgerift store gc --json` prints: what went, or would go, the bytes of that, and those that stay."""

    type: Literal["store-collection"] = "store-collection"
    version: Literal[1] = 1
    store: str
    dry_run: bool
    removed: tuple[StoredEntry, ...]
    freed: int
    left: int


class StoreOptions(Settings, ABC):
    """Which store."""

    store: Path | None = None
    """the store's folder; the environment's EDGERIFT_STORE, else the user's cache folder, otherwise"""

    def open_store(self) -> Store:
        """Open a store that is there; raises :class:`~edgerift.errors.InputError`."""
        found = Store(self.store or default_root())
        if not found.root.is_dir():
            raise InputError(f"there is no store at {found.root}; --store or EDGERIFT_STORE names one")
        return found


@final
class ListStore(StoreOptions):
    """List the results in a store, their sizes and when they were of use last."""

    as_json: Json = False

    def run(self) -> int:
        """Look, and show a table."""
        store = self.open_store()
        found = [_stored(entry) for entry in upkeep.entries(store)]
        listing = StoreListing(store=str(store.root), size=sum(entry.size for entry in found), entries=tuple(found))
        total = f"{_counted(len(found), 'entry', 'entries')}, {size_words(listing.size)} in {listing.store}"
        show(listing, Group(_table(found), Text(total)) if found else Text(total), self.as_json)
        return 0


@final
class VerifyStore(StoreOptions):
    """Compare every file in a store with its seal. Exit code 1 says that a result is damaged."""

    remove: bool = False
    """remove damaged results, so that they are made again when they are asked for"""
    as_json: Json = False

    def run(self) -> int:
        """Compare, and tell what is damaged."""
        store = self.open_store()
        finished = [entry for entry in upkeep.entries(store) if entry.state == "finished"]
        verdicts = []
        with progress_bars() as progress:
            for number, entry in enumerate(finished):
                progress("verify", number, len(finished))
                verdicts.append(upkeep.verify(entry))
            progress("verify", len(finished), len(finished))
        damaged = [self._damaged(store, verdict) for verdict in verdicts if verdict.damage]
        found = StoreVerification(
            store=str(store.root),
            intact=sum(verdict.state == "intact" for verdict in verdicts),
            unsealed=tuple(verdict.entry.name for verdict in verdicts if verdict.state == "unsealed"),
            damaged=tuple(damaged),
        )
        show(found, _verification_text(found), self.as_json)
        return 1 if damaged else 0

    def _damaged(self, store: Store, verdict: Verdict) -> DamagedEntry:
        # What cannot be read now may be whole.
        removed = self.remove and verdict.state == "damaged" and upkeep.remove(store, verdict.entry)
        return DamagedEntry(name=verdict.entry.name, damage=verdict.damage, removed=removed)


@final
class CollectStore(StoreOptions):
    """Remove results that are old, too many, or not needed by those to keep; never one in use."""

    older_than: Annotated[str | None, tyro.conf.arg(metavar="TIME")] = None
    """remove what was not made or opened for so long: 12h, 30d, 8w"""
    max_size: Annotated[str | None, tyro.conf.arg(metavar="SIZE")] = None
    """remove what was used longest ago until the store is at most so large: 500MB, 20GB"""
    keep: tuple[str, ...] = ()
    """never remove these results and what they need: names as `store ls` shows them, or recipe.json files; without the
    options above everything else goes"""
    unfinished: bool = False
    """remove unfinished work as well, the answers among it that thefts have paid for"""
    dry_run: bool = False
    """show what would go, and remove nothing"""
    as_json: Json = False

    def run(self) -> int:
        """Choose, remove, and tell what went."""
        if self.older_than is None and self.max_size is None and not self.keep:
            raise InputError("nothing says what can go; give --older-than 30d, --max-size 20GB or --keep NAME")
        older_than = None if self.older_than is None else seconds_of(self.older_than)
        max_size = None if self.max_size is None else bytes_of(self.max_size)
        store = self.open_store()
        keep = upkeep.reachable([_recipe(store, given) for given in self.keep], store)
        found = upkeep.entries(store)
        chosen = upkeep.unneeded(
            found,
            now=time.time(),
            keep=keep,
            older_than=older_than,
            max_size=max_size,
            unfinished=self.unfinished,
        )
        gone = [entry for entry in chosen if self.dry_run or upkeep.remove(store, entry)]
        if not self.dry_run:
            upkeep.tidy(store)
        freed = sum(entry.size for entry in gone)
        told = StoreCollection(
            store=str(store.root),
            dry_run=self.dry_run,
            removed=tuple(map(_stored, gone)),
            freed=freed,
            left=sum(entry.size for entry in found) - freed,
        )
        show(told, _collection_text(told), self.as_json)
        return 0


def seconds_of(text: str) -> float:
    """Read a time such as 90m, 12h, 30d or 8w; raises :class:`~edgerift.errors.InputError` for anything else."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([mhdw])", text)
    if match is None:
        raise InputError(f"--older-than is '{text}'; it must be a number with m, h, d or w behind it, such as 30d")
    return float(match[1]) * _SECONDS[match[2]]


def bytes_of(text: str) -> int:
    """Read a size such as 500MB or 20GB; raises :class:`~edgerift.errors.InputError` for anything else."""
    match = re.fullmatch(rf"(\d{{1,9}}(?:\.\d{{1,9}})?)({'|'.join(_BYTES)})", text)
    if match is None:
        raise InputError(
            f"--max-size is '{text}'; it must be a number with {', '.join(_BYTES)} behind it, such as 20GB"
        )
    return int(float(match[1]) * _BYTES[match[2]])


def size_words(size: int) -> str:
    """Write a number of bytes as a person reads it.

    >>> [size_words(size) for size in (0, 999, 45_300, 7_250_000_000)]
    ['0 B', '999 B', '45.3 KB', '7.2 GB']
    """
    for unit in ("TB", "GB", "MB", "KB"):
        if size >= _BYTES[unit]:
            return f"{size / _BYTES[unit]:.1f} {unit}"
    return f"{size} B"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _recipe(store: Store, given: str) -> Recipe:
    """Read the recipe of a result of the store, or of a file; raises :class:`~edgerift.errors.InputError`."""
    own = (place / given / "recipe.json" for place in (store.root, store.root / WORK_FOLDER))
    path = next(filter(is_file, own), Path(given))
    path = path / "recipe.json" if path.is_dir() else path
    try:
        return read(path.read_bytes(), _known_recipes())
    except OSError:
        raise InputError(
            f"--keep {given} is neither a result in {store.root} nor a recipe's file; `edgerift store ls` lists them"
        ) from None
    except RecipeError as error:
        raise InputError(f"--keep {given}: {error}") from None


def _known_recipes() -> list[type[Recipe]]:
    below: list[type[Recipe]] = Recipe.__subclasses__()
    for kind in below:
        below += kind.__subclasses__()
    return [kind for kind in below if not inspect.isabstract(kind)]


def _stored(entry: Entry) -> StoredEntry:
    state = "running" if entry.running else entry.state
    return StoredEntry.model_validate({"name": entry.name, "state": state, "size": entry.size, "used": entry.used})


def _table(found: Sequence[StoredEntry]) -> Table:
    table = Table()
    for heading in ("result", "state", "used last"):
        table.add_column(heading, overflow="fold")
    table.add_column("size", justify="right")
    for entry in found:
        used = datetime.fromtimestamp(entry.used).astimezone().strftime("%Y-%m-%d %H:%M")
        table.add_row(entry.name, entry.state, used, size_words(entry.size))
    return table


def _verification_text(found: StoreVerification) -> RenderableType:
    lines = [
        f"{entry.name} {entry.damage}; "
        + ("removed" if entry.removed else f"delete {Path(found.store) / entry.name}, or give --remove")
        for entry in found.damaged
    ]
    unsealed = f", {len(found.unsealed):,} without a seal until opened" if found.unsealed else ""
    lines.append(f"{_counted(found.intact, 'result', 'results')} intact, {len(found.damaged):,} damaged{unsealed}.")
    return Group(*(Text(line) for line in lines))


def _collection_text(told: StoreCollection) -> RenderableType:
    verb = "would go" if told.dry_run else "removed"
    freed, left = size_words(told.freed), size_words(told.left)
    line = f"{_counted(len(told.removed), 'entry', 'entries')} {verb}, {freed}; {left} stay in {told.store}"
    return Group(*([_table(told.removed)] if told.removed else []), Text(line))


StoreCommand = Annotated[
    Annotated[ListStore, tyro.conf.subcommand("ls")]
    | Annotated[VerifyStore, tyro.conf.subcommand("verify")]
    | Annotated[CollectStore, tyro.conf.subcommand("gc")],
    tyro.conf.subcommand("store", description="Look after the results that are kept: list, verify, remove."),
]
