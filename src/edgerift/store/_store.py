"""Results by recipe: looked up, or built once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from edgerift.errors import StoreError
from edgerift.recipes import Progress, Recipe, silent
from edgerift.store._writing import (
    disk_error,
    disk_errors,
    is_full,
    remove_unfinished,
    sync,
    sync_tree,
    write_whole,
)

RECIPE_FILE = "recipe.json"
WORK_FOLDER = ".work"


class Store:
    """The folder where each recipe's result is kept once, named by the recipe.

    A finished result is `root/<type>-<digest>/` with its `recipe.json`. Work in progress is
    `root/.work/<type>-<digest>/`; it stays there when a run is killed or fails, so that the next run of the
    recipe can go on from it, and becomes the finished folder in one step. A lock for each recipe, which the
    operating system releases with the process that holds it, lets one process or thread build while the
    others wait.
    """

    def __init__(self, root: Path | str) -> None:
        """Use the folder `root`; it is made when the first result is built."""
        self.root = Path(root).expanduser().absolute()
        self._producing: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        """Show the folder."""
        return f"Store({str(self.root)!r})"

    def has(self, recipe: Recipe) -> bool:
        """Tell whether the result of `recipe` is here; raises `StoreError` when it is damaged."""
        return self._is_finished(recipe)

    def get(self, recipe: Recipe, progress: Progress = silent) -> Path:
        """Return the finished folder of `recipe`, producing it first when it is not here.

        An error of the recipe itself passes unchanged and keeps the work folder. Raises `StoreError` when the
        store cannot be written, the disk is full, or the result is damaged.
        """
        folder = self.root / _name(recipe)
        if self._is_finished(recipe):
            return folder
        if folder.name in self._producing:
            raise StoreError(
                f"{folder.name} asks for its own result while it is produced; a recipe may ask for its inputs only"
            )
        with self._lock(recipe, progress):
            if not self._is_finished(recipe):
                self._build(recipe, progress)
        return folder

    def _build(self, recipe: Recipe, progress: Progress) -> None:
        """Produce in the work folder, then make that the finished folder. The caller holds the lock."""
        folder = self.root / _name(recipe)
        work = self.root / WORK_FOLDER / folder.name
        with disk_errors(work):
            work.mkdir(exist_ok=True)
            remove_unfinished(work)
        inner = Store(self.root)
        inner._producing = self._producing | {folder.name}
        try:
            recipe.produce(work, inner, progress)
        except OSError as error:
            if is_full(error):
                raise disk_error(error, work) from error
            raise
        write_whole(work / RECIPE_FILE, _recipe_text(recipe))
        with disk_errors(folder):
            sync_tree(work)
            work.rename(folder)
            sync(self.root)

    def _is_finished(self, recipe: Recipe) -> bool:
        """Tell whether the finished folder is there; raises `StoreError` when it is not this recipe's."""
        folder = self.root / _name(recipe)
        with disk_errors(folder):
            if not folder.exists():
                return False
            try:
                content = (folder / RECIPE_FILE).read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                content = None
        if content == _recipe_text(recipe).encode():
            return True
        damage = f"has no {RECIPE_FILE}" if content is None else f"has a {RECIPE_FILE} that is not its own"
        raise StoreError(f"the result {folder.name} {damage}; delete {folder} and run again")

    @contextmanager
    def _lock(self, recipe: Recipe, progress: Progress) -> Iterator[None]:
        """Hold the recipe's lock; say so while another process holds it."""
        path = self.root / WORK_FOLDER / f"{_name(recipe)}.lock"
        if self.root.exists() and not self.root.is_dir():
            raise StoreError(f"the store {self.root} is a file; give a folder")
        with disk_errors(self.root):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                progress(recipe.type, 0, 0, "another process is building this; waiting for it")
                lock.acquire()
        try:
            yield
        finally:
            lock.release()


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


def _name(recipe: Recipe) -> str:
    return f"{recipe.type}-{recipe.digest()}"


def _recipe_text(recipe: Recipe) -> str:
    return recipe.canonical_json() + "\n"
