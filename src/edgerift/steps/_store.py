"""Results by recipe: looked up, or built once."""

from __future__ import annotations

import copy
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from edgerift.errors import StoreError
from edgerift.steps._archive import damaged, pack, unpack
from edgerift.steps._entry import RECIPE_FILE, examined, name_of, recipe_text, require_own
from edgerift.steps._locks import is_held, let_go, lock_in_turn
from edgerift.steps._mirror import Mirror
from edgerift.steps._progress import Progress, silent
from edgerift.steps._recipe import Recipe
from edgerift.steps._seal import SEAL, DamageError, Stamp, digest_files, read_seal, stamp, write_seal
from edgerift.steps._writing import disk_error, disk_errors, is_full, remove_unfinished, sync, sync_tree, write_whole

#: The files of a finished result that are the store's own.
STORE_FILES: Final = frozenset({RECIPE_FILE, SEAL})
WORK_FOLDER = ".work"
MIRRORED_FOLDER = ".mirrored"


class Store:
    """The folder where each recipe's result is kept once, named by the recipe.

    A finished result is `root/<type>-<digest>/` with its `recipe.json` and its seal `SHA256SUMS`, the SHA-256 of every
    file. A result whose files have changed is refused; it is verified when it is opened, once for each `Store` unless a
    file was written since. Work in progress is `root/.work/<type>-<digest>/`; it stays there when a run is killed or
    fails, so that the next run of the recipe can resume, and becomes the finished folder in one step. A lock for each
    recipe, which the operating system releases with the process that holds it, lets one process or thread build while
    the others wait.

    Machines without a shared disk share results through a mirror, any URL that fsspec knows, such as
    `s3://bucket/prefix` or `file:///mnt/share`. What is built is put there as one object, `<type>-<digest>.tar`, and
    what is missing here is fetched from there; a result is the same with a mirror and without. Credentials are those of
    the protocol's own client library. The locks are those of one machine: two machines that need the same recipe at the
    same time both build it, which only costs time, since both upload the same result. A store can be pickled for
    another process.
    """

    def __init__(self, root: Path | str, mirror: str | None = None) -> None:
        """Use the folder `root`, which is made when the first result is built, and the URL `mirror`, if any.

        The mirror is not contacted yet. Raises `StoreError` when it is not a URL with a protocol that fsspec knows.
        """
        self.root = Path(root).expanduser().absolute()
        self._mirror = None if mirror is None else Mirror(mirror)
        self._producing: frozenset[str] = frozenset()
        # The file stamps of each result when it was verified against its seal.
        self._compared: dict[str, Stamp] = {}

    def __repr__(self) -> str:
        """Show the folder, and the mirror without credentials."""
        mirror = "" if self._mirror is None else f", mirror={self._mirror.shown!r}"
        return f"Store({str(self.root)!r}{mirror})"

    @property
    def mirror(self) -> str | None:
        """The URL that results are shared through, credentials included; None without one."""
        return None if self._mirror is None else self._mirror.url

    def has(self, recipe: Recipe) -> bool:
        """Return whether the result of `recipe` is here or on the mirror.

        The mirror is listed at the first call that needs it; later uploads of other machines are visible after
        `refresh`, while `get` always finds them. Raises `StoreError` when the result here lacks a file, has another's
        recipe or a damaged seal, or the mirror cannot be read; content is verified by `find` and `get`.
        """
        return self._is_finished(recipe) or (self._mirror is not None and self._mirror.holds(name_of(recipe)))

    def refresh(self) -> None:
        """List the mirror again for `has`: one request for any number of recipes; raises `StoreError`."""
        if self._mirror is not None:
            self._mirror.refresh()

    def running(self, recipe: Recipe) -> bool:
        """Return whether a process on this machine, including this one, builds, fetches or uploads `recipe` now."""
        path = self._lock_file(recipe)
        with disk_errors(path):
            return is_held(path)

    def find(self, recipe: Recipe) -> Path | None:
        """Return the finished folder of `recipe` when it is here, verified, else None.

        Raises `StoreError` when the result is damaged.
        """
        if not self._is_finished(recipe):
            return None
        folder = self.root / name_of(recipe)
        self._require_sealed(folder, recipe)
        # The time of last use determines what is removed first.
        with suppress(OSError):
            os.utime(folder)
        return folder

    def get(self, recipe: Recipe, progress: Progress = silent) -> Path:
        """Return the finished folder of `recipe`, fetching it from the mirror or producing it when it is not here.

        A result that is here but not yet on the mirror, because an earlier upload failed, is uploaded now. An error of
        the recipe itself passes unchanged and keeps the work folder. Raises `StoreError` when the store cannot be
        written, the disk is full, the result is damaged, or the mirror cannot be used.
        """
        folder = self.root / name_of(recipe)
        if self.find(recipe) is not None and self._is_shared(folder.name):
            return folder
        if folder.name in self._producing:
            raise StoreError(
                f"{folder.name} asks for its own result while it is produced; a recipe may only ask for its inputs"
            )
        with self._lock(recipe, progress):
            if self.find(recipe) is None and not self._fetch(recipe, progress):
                self._build(recipe, progress)
            if not self._is_shared(folder.name):
                self._share(recipe, progress)
        return folder

    def _build(self, recipe: Recipe, progress: Progress) -> None:
        """Produce in the work folder, then rename it to the finished folder. The caller holds the lock."""
        folder = self.root / name_of(recipe)
        work = self.root / WORK_FOLDER / folder.name
        if self._mirror is not None:
            self._mirror.prepare()
        with disk_errors(work):
            # A marker may remain from a result that has been deleted since.
            self._mark(folder.name).unlink(missing_ok=True)
            work.mkdir(exist_ok=True)
            remove_unfinished(work)
        # The dependencies of a run are known while it runs.
        write_whole(work / RECIPE_FILE, recipe_text(recipe))
        inner = copy.copy(self)
        inner._producing = self._producing | {folder.name}
        try:
            recipe.produce(work, inner, progress)
        except OSError as error:
            if is_full(error):
                raise disk_error(error, work) from error
            raise
        write_whole(work / RECIPE_FILE, recipe_text(recipe))
        with disk_errors(work):
            digests = digest_files(work)
        write_seal(work, digests)
        self._finish(work, folder)
        self._compared[folder.name] = stamp(folder, digests)

    def _finish(self, work: Path, folder: Path) -> None:
        """Make the folder `work` the finished one in one step."""
        with disk_errors(folder):
            sync_tree(work)
            work.rename(folder)
            sync(self.root)

    def _fetch(self, recipe: Recipe, progress: Progress) -> bool:
        """Fetch the result from the mirror, if it is there. The caller holds the lock."""
        name = name_of(recipe)
        if self._mirror is None or not self._mirror.find(name):
            return False
        progress(recipe.type, 0, 0, f"fetching the result from {self._mirror.shown}")
        work, address = self.root / WORK_FOLDER, self._mirror.address(name)
        packed, fetched = work / f"{name}.tar", work / f"{name}.fetched"
        try:
            self._mirror.fetch(name, packed)
            with disk_errors(fetched):
                shutil.rmtree(fetched, ignore_errors=True)
                unpack(packed, fetched, address)
                require_own(fetched, recipe)
                examined(fetched, recipe)
            self._finish(fetched, self.root / name)
        except DamageError as damage:
            raise damaged(address, str(damage)) from None
        finally:
            _discard(packed)
            shutil.rmtree(fetched, ignore_errors=True)
        # Leftovers of a killed run are no longer of use.
        shutil.rmtree(work / name, ignore_errors=True)
        self._set_mark(name)
        return True

    def _share(self, recipe: Recipe, progress: Progress) -> None:
        """Upload the finished result to the mirror, unless it is there. The caller holds the lock."""
        name = name_of(recipe)
        if self._mirror is None:
            return
        packed = self.root / WORK_FOLDER / f"{name}.tar"
        try:
            if not self._mirror.find(name):
                progress(recipe.type, 0, 0, f"putting the result on {self._mirror.shown}")
                with disk_errors(packed):
                    pack(self.root / name, packed, last=RECIPE_FILE)
                self._mirror.put(name, packed)
        except StoreError as error:
            kept = f"the result is kept in {self.root / name}, and the next run puts it there"
            raise StoreError(f"{error}; {kept}") from error.__cause__
        finally:
            _discard(packed)
        self._set_mark(name)

    def _is_shared(self, name: str) -> bool:
        """Return, without contacting the mirror, whether the result is known to be there; true without a mirror."""
        return self._mirror is None or self._mark(name).exists()

    def _mark(self, name: str) -> Path:
        """The empty marker file for a result that is on this mirror; results themselves do not depend on it."""
        mirror = hashlib.sha256((self.mirror or "").encode()).hexdigest()[:16]
        return self.root / MIRRORED_FOLDER / mirror / name

    def _set_mark(self, name: str) -> None:
        mark = self._mark(name)
        with disk_errors(mark):
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()

    def _is_finished(self, recipe: Recipe) -> bool:
        """Return whether the finished folder exists; raises `StoreError` when it is another recipe's or incomplete."""
        folder = self.root / name_of(recipe)
        with disk_errors(folder), _named(folder):
            if not folder.exists():
                return False
            require_own(folder, recipe)
        return True

    def _require_sealed(self, folder: Path, recipe: Recipe) -> None:
        """Verify a finished folder against its seal; a result of an earlier edgerift without one is sealed now."""
        with disk_errors(folder), _named(folder):
            sealed = read_seal(folder)
            if sealed is not None and self._compared.get(folder.name) == stamp(folder, sealed):
                return
            digests, is_sealed = examined(folder, recipe)
            if not is_sealed:
                # A read-only store is useful too.
                with suppress(StoreError):
                    write_seal(folder, digests)
            self._compared[folder.name] = stamp(folder, digests)

    def _lock_file(self, recipe: Recipe) -> Path:
        return self.root / WORK_FOLDER / f"{name_of(recipe)}.lock"

    @contextmanager
    def _lock(self, recipe: Recipe, progress: Progress) -> Iterator[None]:
        """Hold the recipe's lock; report waiting while another process holds it."""
        path = self._lock_file(recipe)
        if self.root.exists() and not self.root.is_dir():
            raise StoreError(f"the store {self.root} is a file; give a folder")
        with disk_errors(self.root):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = lock_in_turn(
                path, lambda: progress(recipe.type, 0, 0, "another process is building this; waiting for it")
            )
        try:
            yield
        finally:
            let_go(lock)


def default_root() -> Path:
    """Name the folder for results when the user names none.

    It is `$EDGERIFT_STORE`, else `edgerift/store` in the user's cache folder (`$XDG_CACHE_HOME`, else
    `~/.cache`).
    """
    chosen = os.environ.get("EDGERIFT_STORE")
    if chosen:
        return Path(chosen).expanduser()
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "edgerift" / "store"


def _discard(file: Path) -> None:
    """Remove a temporary file; a leftover would be harmless."""
    with suppress(OSError):
        file.unlink()


@contextmanager
def _named(folder: Path) -> Iterator[None]:
    """Turn damage of a finished result into a `StoreError` with its name and the remedy."""
    try:
        yield
    except DamageError as damage:
        raise StoreError(f"the result {folder.name} {damage}; delete {folder} and run again") from None
