"""Maintenance of a store: its content, integrity, dependencies, and removal of the rest."""

from __future__ import annotations

import math
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeVar

from edgerift.errors import RecipeError, StoreError
from edgerift.steps._entry import RECIPE_FILE, name_of, require_named, require_unaltered, require_whole
from edgerift.steps._locks import is_held, let_go, try_lock
from edgerift.steps._reading import read
from edgerift.steps._recipe import Recipe
from edgerift.steps._seal import DamageError, read_seal
from edgerift.steps._store import WORK_FOLDER, Store
from edgerift.steps._writing import UNFINISHED, disk_errors, write_whole

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]*-[0-9a-f]{32}")
_REMOVED: Final = ".removed"
#: Leftovers of a killed run or removal in the work folder that no later one resumes from.
_LEFTOVERS: Final = (".lock", ".tar", ".fetched", _REMOVED)

_Kind = TypeVar("_Kind", bound=Recipe)


@dataclass(frozen=True)
class Entry:
    """A result in a store, or the unfinished work of an interrupted run.

    `size` is in bytes; `used` is when the result was made or opened last, or the work was changed last, in seconds
    since 1970; `running` says that a process on this machine is working on it.
    """

    name: str
    folder: Path
    state: Literal["finished", "unfinished"]
    size: int
    used: float
    running: bool


@dataclass(frozen=True)
class Verdict:
    """Whether a result is unchanged.

    `unsealed` is one of an earlier edgerift, sealed when it is opened, and `gone` one that was removed since it was
    listed.
    """

    entry: Entry
    state: Literal["intact", "damaged", "unreadable", "unsealed", "gone"]
    damage: str = ""


def entries(store: Store) -> tuple[Entry, ...]:
    """List the entries of a store, the most recently used last; raises `StoreError` when it cannot be read."""
    with disk_errors(store.root):
        # Work becomes a result by a rename, so this order misses none.
        found = [*_entries(store, "unfinished"), *_entries(store, "finished")]
    there = [entry for entry in found if os.path.lexists(entry.folder)]
    return tuple(sorted(there, key=lambda entry: (entry.used, entry.name)))


def stored_recipes(store: Store, kind: type[_Kind], containing: str) -> tuple[_Kind, ...]:
    """Read the recipes of one kind, of results and of unfinished work in a store, whose text has `containing` in it.

    Those that cannot be read, or are of another version, are left out.
    """
    found: dict[str, _Kind] = {}
    for folder in (*_folders(store.root / WORK_FOLDER), *_folders(store.root)):
        if folder.name.rpartition("-")[0] == kind.model_fields["type"].default:
            with suppress(OSError, RecipeError):
                text = (folder / RECIPE_FILE).read_bytes()
                if containing.encode() in text:
                    recipe = read(text, [kind])
                    assert isinstance(recipe, kind)
                    found[folder.name] = recipe
    return tuple(found.values())


def verify(entry: Entry) -> Verdict:
    """Compare every file of a finished result with its seal, where it can be read."""
    verdict = _compared(entry)
    return verdict if os.path.lexists(entry.folder) else Verdict(entry, "gone")


def _compared(entry: Entry) -> Verdict:
    try:
        require_named(entry.folder)
        require_whole(entry.folder)
        digests = read_seal(entry.folder)
        if digests is None:
            return Verdict(entry, "unsealed")
        require_unaltered(entry.folder, digests)
    except DamageError as damage:
        return Verdict(entry, "damaged", str(damage))
    except (OSError, StoreError) as error:
        return Verdict(entry, "unreadable", f"cannot be read ({error})")
    return Verdict(entry, "intact")


def reachable(recipes: Iterable[Recipe], store: Store) -> frozenset[str]:
    """Return the results of some recipes, of their dependencies, and of the steps they used, as far as the store knows.

    Raises :class:`~edgerift.errors.EdgeriftError` where the dependencies of a step cannot be determined.
    """
    found: set[str] = set()
    open_steps = list(recipes)
    while open_steps:
        recipe = open_steps.pop()
        name = name_of(recipe)
        if name not in found:
            found.add(name)
            open_steps += (*recipe.needs(store), *recipe.asked(store))
    return frozenset(found)


def unneeded(
    found: Collection[Entry],
    *,
    now: float,
    keep: Collection[str] = (),
    older_than: float | None = None,
    max_size: int | None = None,
    unfinished: bool = False,
) -> tuple[Entry, ...]:
    """Choose what to remove: never what runs, what was used since the first running step began, or what is in `keep`.

    Of the rest, entries unused for `older_than` seconds are removed, then the least recently used until the total is at
    most `max_size` bytes; without these two all of it. Unfinished work is removed with `unfinished`.
    """
    began = min((_began(entry) for entry in found if entry.running), default=now)
    free = [
        entry
        for entry in sorted(found, key=lambda entry: (entry.used, entry.name))
        if not (entry.running or entry.name in keep or entry.used >= began)
        and (unfinished or entry.state == "finished")
    ]
    if older_than is None and max_size is None:
        return tuple(free)
    gone = [entry for entry in free if older_than is not None and now - entry.used > older_than]
    left = sum(entry.size for entry in found) - sum(entry.size for entry in gone)
    for entry in free:
        if max_size is not None and left > max_size and entry not in gone:
            gone.append(entry)
            left -= entry.size
    return tuple(gone)


def remove(store: Store, entry: Entry) -> bool:
    """Remove a result or unfinished work in one step; returns whether it did, which is false for one in use.

    In use means that a process works on it, or that it was used since it was listed. Raises `StoreError` on a disk
    error.
    """
    work = store.root / WORK_FOLDER
    with disk_errors(entry.folder):
        work.mkdir(exist_ok=True)
        lock = try_lock(work / f"{entry.name}.lock")
        if lock is None:
            return False
        try:
            if _used(entry.folder, entry.state) > entry.used:
                return False
            gone = work / f"{entry.name}{_REMOVED}"
            _discard(gone)
            entry.folder.rename(gone)
            _discard(gone)
        except FileNotFoundError:
            return False
        finally:
            let_go(lock)
    return True


def tidy(store: Store) -> None:
    """Remove stale lock files, and leftovers of killed runs that no later one resumes from."""
    work = store.root / WORK_FOLDER
    if not work.is_dir():
        return
    with disk_errors(work):
        for path in sorted(work.iterdir()):
            if path.suffix not in _LEFTOVERS or not _NAME.fullmatch(path.stem):
                continue
            lock = try_lock(work / f"{path.stem}.lock")
            if lock is not None:
                try:
                    if path.suffix != ".lock":
                        _discard(path)
                finally:
                    let_go(lock)


def require_writable(root: Path) -> None:
    """Try to write where a store is or would be made, leaving nothing there; raises `StoreError` when that fails."""
    with disk_errors(root):
        nearest = next(place for place in (root, *root.parents) if place.exists())
        with tempfile.TemporaryDirectory(prefix=".", suffix=UNFINISHED, dir=nearest) as trial:
            write_whole(Path(trial) / "trial", b"written\n")


def _folders(place: Path) -> Iterator[Path]:
    if place.is_dir():
        yield from (path for path in place.iterdir() if _NAME.fullmatch(path.name))


def _entries(store: Store, state: Literal["finished", "unfinished"]) -> Iterator[Entry]:
    for folder in _folders(store.root if state == "finished" else store.root / WORK_FOLDER):
        # A concurrent step renames folders and removes what it no longer needs.
        with suppress(FileNotFoundError):
            yield _entry(store, folder, state)


def _entry(store: Store, folder: Path, state: Literal["finished", "unfinished"]) -> Entry:
    return Entry(
        name=folder.name,
        folder=folder,
        state=state,
        size=sum(found.st_size for found in _below(folder) if not stat.S_ISDIR(found.st_mode)),
        used=_used(folder, state),
        running=is_held(store.root / WORK_FOLDER / f"{folder.name}.lock"),
    )


def _used(folder: Path, state: Literal["finished", "unfinished"]) -> float:
    """When a folder was used last: opening a result marks its folder, and work in progress changes its files."""
    used = folder.lstat().st_mtime
    return used if state == "finished" else max((used, *(found.st_mtime for found in _below(folder))))


def _below(folder: Path) -> Iterator[os.stat_result]:
    """Stat everything in a folder, without following links, except entries that vanish meanwhile."""
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            with suppress(FileNotFoundError):
                yield Path(place, name).lstat()


def _began(entry: Entry) -> float:
    """When the run that works on an entry began to open others; unknown for an earlier edgerift."""
    if entry.state == "finished":
        return math.inf
    try:
        return (entry.folder / RECIPE_FILE).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _discard(path: Path) -> None:
    with suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
