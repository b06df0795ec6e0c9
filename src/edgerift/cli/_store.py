"""`edgerift store`: what is kept, whether it is intact, and taking away what nobody needs."""

from __future__ import annotations

import inspect
import re
import time
from abc import ABC
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, final

import tyro
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

import edgerift
from edgerift import steps
from edgerift.cli._fields import Command, Shown
from edgerift.cli._options import STORE as WHERE
from edgerift.cli._options import Json
from edgerift.cli._terminal import progress_bars, show
from edgerift.errors import InputError, RecipeError
from edgerift.settings import Settings, is_file
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
    """What `edgerift store ls --json` prints, most recently used last."""

    type: Literal["store-listing"] = "store-listing"
    version: Literal[1] = 1
    store: str
    size: int
    entries: tuple[StoredEntry, ...]


class DamagedEntry(Settings):
    """A damaged result, what is wrong with it, and whether it was removed."""

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
    """What `edgerift store gc --json` prints: what was or would be removed, the bytes freed, and the bytes left."""

    type: Literal["store-collection"] = "store-collection"
    version: Literal[1] = 1
    store: str
    dry_run: bool
    removed: tuple[StoredEntry, ...]
    freed: int
    left: int


class StoreOptions(Command, ABC):
    """Which store."""

    store: Annotated[Path | None, WHERE] = None
    """folder of the store"""

    def open_store(self) -> steps.Store:
        """Open a store that is there; raises :class:`~edgerift.errors.InputError`."""
        found = steps.Store(self.store or steps.default_root())
        if not found.root.is_dir():
            raise InputError(f"there is no store at {found.root}; name one with --store or EDGERIFT_STORE")
        return found


@final
class ListStore(StoreOptions):
    """List the stored results, their sizes and when they were last used."""

    example: ClassVar[str] = "edgerift store ls"
    imports: ClassVar[tuple[str, ...]] = ()

    as_json: Json = False

    def run(self) -> int:
        """Look, and show a table."""
        store = self.open_store()
        found = [_stored(entry) for entry in steps.entries(store)]
        listing = StoreListing(store=str(store.root), size=sum(entry.size for entry in found), entries=tuple(found))
        total = f"{_counted(len(found), 'entry', 'entries')}, {size_words(listing.size)} in {listing.store}"
        show(listing, Group(_table(found), Text(total)) if found else Text(total), self.as_json)
        return 0


@final
class VerifyStore(StoreOptions):
    """Check every stored file against its checksum.

    The exit code is 1 if a result is damaged.
    """

    example: ClassVar[str] = "edgerift store verify --remove"
    imports: ClassVar[tuple[str, ...]] = ()

    remove: bool = False
    """remove damaged results, so that they are computed again when needed"""
    as_json: Json = False

    def run(self) -> int:
        """Compare, and show what is damaged."""
        store = self.open_store()
        finished = [entry for entry in steps.entries(store) if entry.state == "finished"]
        verdicts = []
        with progress_bars() as progress:
            for number, entry in enumerate(finished):
                progress("verify", number, len(finished))
                verdicts.append(steps.verify(entry))
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

    def _damaged(self, store: steps.Store, verdict: steps.Verdict) -> DamagedEntry:
        # What cannot be read now may be whole.
        removed = self.remove and verdict.state == "damaged" and steps.remove(store, verdict.entry)
        return DamagedEntry(name=verdict.entry.name, damage=verdict.damage, removed=removed)


@final
class CollectStore(StoreOptions):
    """Remove old or unneeded results; never one in use."""

    example: ClassVar[str] = "edgerift store gc --older-than 30d --max-size 20GB --dry-run"
    imports: ClassVar[tuple[str, ...]] = ()

    older_than: Annotated[str | None, tyro.conf.arg(metavar="TIME"), Shown(metavar="TIME")] = None
    """remove results not used for this long: 12h, 30d, 8w"""
    max_size: Annotated[str | None, tyro.conf.arg(metavar="SIZE"), Shown(metavar="SIZE")] = None
    """remove the least recently used results until the store is at most this large: 500MB, 20GB"""
    keep: tuple[str, ...] = ()
    """keep this result and all it depends on: a name from `store ls` or a recipe.json file; repeatable; without
    --older-than and --max-size everything else is removed"""
    unfinished: bool = False
    """also remove unfinished work, including the paid answers of an interrupted extraction"""
    dry_run: bool = False
    """show what would be removed, and remove nothing"""
    as_json: Json = False

    def run(self) -> int:
        """Choose, remove, and show what was removed."""
        if self.older_than is None and self.max_size is None and not self.keep:
            raise InputError("nothing to choose by; give --older-than 30d, --max-size 20GB or --keep NAME")
        older_than = None if self.older_than is None else seconds_of(self.older_than)
        max_size = None if self.max_size is None else bytes_of(self.max_size)
        store = self.open_store()
        keep = steps.reachable([_recipe(store, given) for given in self.keep], store)
        found = steps.entries(store)
        chosen = steps.unneeded(
            found,
            now=time.time(),
            keep=keep,
            older_than=older_than,
            max_size=max_size,
            unfinished=self.unfinished,
        )
        gone = [entry for entry in chosen if self.dry_run or steps.remove(store, entry)]
        if not self.dry_run:
            steps.tidy(store)
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
        raise InputError(f"--older-than is '{text}'; it must be a number followed by m, h, d or w, such as 30d")
    return float(match[1]) * _SECONDS[match[2]]


def bytes_of(text: str) -> int:
    """Read a size such as 500MB or 20GB; raises :class:`~edgerift.errors.InputError` for anything else."""
    match = re.fullmatch(rf"(\d{{1,9}}(?:\.\d{{1,9}})?)({'|'.join(_BYTES)})", text)
    if match is None:
        raise InputError(f"--max-size is '{text}'; it must be a number followed by {', '.join(_BYTES)}, such as 20GB")
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


def _recipe(store: steps.Store, given: str) -> steps.Recipe:
    """Read the recipe of a result of the store, or of a file; raises :class:`~edgerift.errors.InputError`."""
    own = (place / given / "recipe.json" for place in (store.root, store.root / WORK_FOLDER))
    path = next(filter(is_file, own), Path(given))
    path = path / "recipe.json" if path.is_dir() else path
    try:
        return steps.read(path.read_bytes(), _known_recipes())
    except OSError:
        raise InputError(
            f"--keep {given} is neither a result in {store.root} nor a recipe's file; `edgerift store ls` lists them"
        ) from None
    except RecipeError as error:
        raise InputError(f"--keep {given}: {error}") from None


def _known_recipes() -> list[type[steps.Recipe]]:
    """List the recipes of all packages, which are imported for it."""
    for package in (getattr(edgerift, name) for name in dir(edgerift)):
        for name in getattr(package, "__all__", ()):
            getattr(package, name)
    below: list[type[steps.Recipe]] = steps.Recipe.__subclasses__()
    for kind in below:
        below += kind.__subclasses__()
    return [kind for kind in below if not inspect.isabstract(kind)]


def _stored(entry: steps.Entry) -> StoredEntry:
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
    unsealed = f", {len(found.unsealed):,} without checksums until opened" if found.unsealed else ""
    lines.append(f"{_counted(found.intact, 'result', 'results')} intact, {len(found.damaged):,} damaged{unsealed}.")
    return Group(*(Text(line) for line in lines))


def _collection_text(told: StoreCollection) -> RenderableType:
    verb = "would be removed" if told.dry_run else "removed"
    freed, left = size_words(told.freed), size_words(told.left)
    line = f"{_counted(len(told.removed), 'entry', 'entries')} {verb}, {freed}; {left} left in {told.store}"
    return Group(*([_table(told.removed)] if told.removed else []), Text(line))
