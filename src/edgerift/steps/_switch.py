"""From a staged folder to the one that a reader sees: in one step where that can be, else so that a kill is made good.

A folder's own files are listed in it, in the order in which they come. Where two folders cannot change places, the
staged one becomes a journal inside the folder: the files of before go first, and only then do the new ones come, so
that at no moment files of two results stand beside each other. Whoever holds the folder next finishes what was begun.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import sys
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

from edgerift.errors import StoreError
from edgerift.steps._writing import disk_errors, remove_unfinished, sync, sync_tree, write_whole

#: The list of the files that were written into a folder; all others there are the user's own.
MANIFEST: Final = ".edgerift-files"

_JOURNAL: Final = ".edgerift-next"
_GOING: Final = ".edgerift-going"
_STAGED: Final = ".edgerift-staged"

_LONGEST_NAME: Final = 200
_CURRENT_FOLDER: Final = -100
_RENAME_EXCHANGE: Final = 2


def owned_files(folder: Path, known: Iterable[str] = ()) -> tuple[str, ...]:
    """List the files in a folder that were written there, or those `known` by other means where it has no list."""
    file = folder / MANIFEST
    listed = _read_list(file) if file.is_file() and not file.is_symlink() else known
    return tuple(name for name in dict.fromkeys(listed) if _is_below(name) and _is_plain(folder, name))


def new_stage(folder: Path, owned: tuple[str, ...]) -> Path:
    """Make an empty folder for new files: beside the folder where the two can change places, else inside it."""
    hidden = f"{uuid.uuid4().hex}{_STAGED}"
    beside = folder.with_name(f".{folder.name}.{hidden}")
    staged = beside if _can_change_places(folder, owned) else folder / f".{hidden}"
    staged.mkdir()
    if staged == beside:
        shutil.copymode(folder, staged)
    return staged


def switch(staged: Path, folder: Path, owned: tuple[str, ...], last: str) -> None:
    """Let the staged files take the place of those that are `owned`; the file named `last` comes last and goes first.

    Raises `StoreError`, before anything is changed, where a file of the user's own is in the way.
    """
    _leave_equal_files(staged, folder, owned)
    names = [path.relative_to(staged).as_posix() for path in _files(staged)]
    write_whole(staged / MANIFEST, _list(sorted(names, key=lambda name: (name == last, name))))
    sync_tree(staged)
    if staged.parent != folder and _can_change_places(folder, owned) and _take_place(staged, folder):
        sync(folder.parent)
        return
    write_whole(staged / _GOING, _list(sorted(owned, key=lambda name: (name != last, name))))
    staged.rename(folder / _JOURNAL)
    sync(folder)
    _finish(folder)


def recover(folder: Path) -> None:
    """Finish a switch that a killed process began, and remove what it had staged. The caller holds the folder."""
    if (folder / _JOURNAL).is_dir():
        _finish(folder)
    hidden = "[0-9a-f]" * 32 + _STAGED
    for staged in (*folder.glob(f".{hidden}"), *folder.parent.glob(f".{_escaped(folder.name)}.{hidden}")):
        if staged.is_dir() and not staged.is_symlink():
            dispose(staged, folder)


def dispose(staged: Path, folder: Path) -> None:
    """Remove a staged folder, or what it became when it changed places with `folder`.

    A file that the user put there at the last moment moves back to `folder`, unless one of that name is there; then
    both stay.
    """
    if not (staged / MANIFEST).is_file():
        shutil.rmtree(staged, ignore_errors=True)
        return
    remove_unfinished(staged)
    for name in (*reversed(owned_files(staged)), _GOING):
        (staged / name).unlink(missing_ok=True)
    _remove_empty(staged)
    for path in [path for path in _files(staged) if path != staged / MANIFEST]:
        target = folder / path.relative_to(staged)
        if os.path.lexists(target):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    shutil.rmtree(staged, ignore_errors=True)


def _finish(folder: Path) -> None:
    """Do what the journal in a folder says, from wherever it was left: the old files go, then the new ones come."""
    journal = folder / _JOURNAL
    if (journal / MANIFEST).is_file():
        for name in _read_list(journal / _GOING):
            if _is_below(name) and _is_plain(folder, name):
                (folder / name).unlink()
                _remove_empty_parents(folder, name)
        (journal / MANIFEST).replace(folder / MANIFEST)
        sync(folder)
    for name in _read_list(folder / MANIFEST):
        if _is_below(name) and _is_plain(journal, name):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (journal / name).replace(folder / name)
    for parent in {(folder / name).parent for name in owned_files(folder)} | {folder}:
        sync(parent)
    shutil.rmtree(journal)


def _leave_equal_files(staged: Path, folder: Path, owned: tuple[str, ...]) -> None:
    """Leave out what stands in the folder already as a file of the user's own, which it stays."""
    for path in _files(staged):
        name = path.relative_to(staged).as_posix()
        target = folder / name
        if name in owned or (not os.path.lexists(target) and _has_real_parents(folder, name)):
            continue
        if not _is_plain(folder, name) or target.read_bytes() != path.read_bytes():
            raise StoreError(
                f"{target} is not what was written there before, and would be replaced; move it away or choose another "
                "folder, what was computed so far is kept"
            )
        path.unlink()


def _can_change_places(folder: Path, owned: tuple[str, ...]) -> bool:
    """Tell whether a folder holds nothing but its own files, and may itself be moved."""
    if len(folder.name) > _LONGEST_NAME or os.path.ismount(folder) or not os.access(folder.parent, os.W_OK | os.X_OK):
        return False
    if folder.stat().st_uid != os.geteuid() or _is_inside(folder):
        return False
    entries = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    if not entries:
        return True
    parents = {parent.as_posix() for name in owned for parent in PurePosixPath(name).parents}
    strangers = entries.keys() - {*owned, MANIFEST}
    return MANIFEST in entries and all(name in parents and _is_folder(entries[name]) for name in strangers)


def _is_inside(folder: Path) -> bool:
    """Tell whether this process works in the folder, and so its user, who would be left in the old one."""
    try:
        return Path.cwd().is_relative_to(folder)
    except OSError:
        return False


def _take_place(staged: Path, folder: Path) -> bool:
    """Let the staged folder become the folder in one step; false where the system cannot."""
    if (folder / MANIFEST).is_file():
        return _change_places(staged, folder)
    try:
        # Over an empty folder alone, which one with a new file of the user's is no more.
        staged.rename(folder)
    except OSError:
        return False
    return True


def _change_places(one: Path, other: Path) -> bool:
    if sys.platform == "linux":
        library = ctypes.CDLL(None, use_errno=True)
        if hasattr(library, "renameat2"):
            library.renameat2.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
            paths = (_CURRENT_FOLDER, os.fsencode(one), _CURRENT_FOLDER, os.fsencode(other))
            return bool(library.renameat2(*paths, _RENAME_EXCHANGE) == 0)
    return False


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if not _is_folder(path))


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_plain(folder: Path, name: str) -> bool:
    """Tell whether a name is that of a file in a folder, not of a link or of something behind one."""
    try:
        return stat.S_ISREG((folder / name).lstat().st_mode) and _has_real_parents(folder, name)
    except OSError:
        return False


def _has_real_parents(folder: Path, name: str) -> bool:
    parents = [folder / parent for parent in PurePosixPath(name).parents[:-1]]
    return all(_is_folder(parent) or not os.path.lexists(parent) for parent in parents)


def _is_below(name: str) -> bool:
    """Tell whether a listed name, which anybody may have written, is one below its folder."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name


def _remove_empty(folder: Path) -> None:
    for path in sorted((path for path in folder.rglob("*") if _is_folder(path)), reverse=True):
        with suppress(OSError):
            path.rmdir()


def _remove_empty_parents(folder: Path, name: str) -> None:
    with suppress(OSError):
        for parent in PurePosixPath(name).parents[:-1]:
            (folder / parent).rmdir()


def _list(names: Iterable[str]) -> str:
    return "".join(f"{name}\n" for name in names)


def _read_list(file: Path) -> list[str]:
    with disk_errors(file):
        return file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()


def _escaped(name: str) -> str:
    """Write a name so that a pattern means the name itself."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
