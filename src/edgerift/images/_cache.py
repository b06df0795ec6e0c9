"""Decoded images on the disk: memory-mapped, written atomically, and rebuilt when damaged."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgerift.images._fingerprint import file_digest
from edgerift.steps import disk_errors, let_go, lock_in_turn, sync_tree

INDEX = "entry.json"


def default_cache() -> Path:
    """Return the default folder for decoded images.

    It is `$EDGERIFT_CACHE`, else `edgerift` in the user's cache folder (`$XDG_CACHE_HOME`, else `~/.cache`).
    """
    chosen = os.environ.get("EDGERIFT_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (home if home.is_absolute() else Path.home() / ".cache") / "edgerift"


def cached(cache: Path, key: str, build: Callable[[Path], dict[str, Any]]) -> tuple[Path, dict[str, Any]]:
    """Return the folder of the entry `key` and the note of `build`, building it where needed.

    `build` writes files into the folder it is given and returns a note that has a JSON. An entry that misses a file, or
    holds one that has changed since it was written, is built again. One process builds, the others wait. Raises
    `StoreError` when the disk or the folder cannot be written, and whatever `build` raises.
    """
    folder = cache / "images" / key
    note = _intact(folder)
    if note is not None:
        return folder, note
    with disk_errors(cache):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = lock_in_turn(folder.with_suffix(".lock"))
    try:
        note = _intact(folder)
        if note is None:
            note = _build(folder, build)
    finally:
        let_go(lock)
    return folder, note


def _build(folder: Path, build: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """Build an entry beside its place, then move it there; the lock is held."""
    part = folder.with_suffix(".part")
    with disk_errors(part):
        _remove(part)
        part.mkdir()
        try:
            note = build(part)
            digests = {file.name: file_digest(file) for file in sorted(part.iterdir())}
            (part / INDEX).write_text(json.dumps({"files": digests, "note": note}))
            sync_tree(part)
            _remove(folder)
            part.rename(folder)
        except BaseException:
            _remove(part)
            raise
    return note


def _remove(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder)
    else:
        folder.unlink(missing_ok=True)


def _intact(folder: Path) -> dict[str, Any] | None:
    """Return the entry's note, or none where the entry is missing or damaged."""
    try:
        index = json.loads((folder / INDEX).read_bytes())
        if all(file_digest(folder / name) == digest for name, digest in index["files"].items()):
            return dict(index["note"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return None
