"""From a staged folder to the one that a reader sees: in one step where that can be, else so that a kill is made good.

A folder's own files are listed in it, in the order in which they come. Where two folders cannot change places, the
staged one becomes a journal inside the folder: the files of before go first, and only then do the new ones come, so
that at no moment files of two results stand beside each other. Whoever holds the folder next finishes what was begun,
and leaves alone what the user put there meanwhile.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import stat
import sys
import uuid
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

from edgerift.errors import EdgeriftWarning, StoreError
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
    going = sorted(owned, key=lambda name: (name != last, name))
    write_whole(staged / _GOING, _list(f"{name}\t{_stamp(folder / name)}" for name in going))
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


def require_room(folder: Path, owned: Collection[str], expected: Mapping[str, str | None]) -> None:
    """Make sure that no file of the user's own is in the way of files of these names and SHA-256, where that is known.

    Raises `StoreError`.
    """
    for name, digest in expected.items():
        if name in owned or _is_free(folder, name):
            continue
        content = (folder / name).read_bytes() if _is_plain(folder, name) and digest is not None else b""
        if hashlib.sha256(content).hexdigest() != digest:
            raise _in_the_way(folder / name)


def _in_the_way(target: Path) -> StoreError:
    return StoreError(
        f"{target} is not what was written there before, and would be replaced; move it away or choose another "
        "folder, what was computed so far is kept"
    )


def _finish(folder: Path) -> None:
    """Do what the journal in a folder says, from wherever it was left: the old files go, then the new ones come.

    Since the journal was written a kill may have been and the user may have put other files there. Those stay, and
    where a new one would take their place nothing is done: raises `StoreError`.
    """
    journal = folder / _JOURNAL
    going = list(_going(journal)) if (journal / MANIFEST).is_file() else []
    ours = [name for name, stamp in going if _is_plain(folder, name) and stamp in ("", _stamp(folder / name))]
    coming = _read_list(journal / MANIFEST if (journal / MANIFEST).is_file() else folder / MANIFEST)
    for name in coming:
        if _is_below(name) and _is_plain(journal, name) and name not in ours and not _is_free(folder, name):
            raise StoreError(
                f"{folder / name} was put there after a run was killed that had a new one for its place; move it away "
                "and run again, the new one is kept"
            )
    for name, _ in going:
        if name not in ours and os.path.lexists(folder / name):
            warnings.warn(
                f"{folder / name} was put there after a run was killed that was about to remove its own file of "
                "that name; it is kept",
                EdgeriftWarning,
                stacklevel=2,
            )
    _carry_out(folder, journal, ours, coming)


def _carry_out(folder: Path, journal: Path, going: Iterable[str], coming: Iterable[str]) -> None:
    for name in going:
        (folder / name).unlink()
        _remove_empty_parents(folder, name)
    if (journal / MANIFEST).is_file():
        (journal / MANIFEST).replace(folder / MANIFEST)
        sync(folder)
    for name in coming:
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
        if name in owned or _is_free(folder, name):
            continue
        if not _is_plain(folder, name) or (folder / name).read_bytes() != path.read_bytes():
            raise _in_the_way(folder / name)
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


def _is_free(folder: Path, name: str) -> bool:
    """Tell whether a file can come under a name without taking the place of another one."""
    return not os.path.lexists(folder / name) and _has_real_parents(folder, name)


def _stamp(path: Path) -> str:
    """Tell a file from one that was put in its place: its size, and when it was written."""
    found = path.lstat()
    return f"{found.st_size} {found.st_mtime_ns}"


def _going(journal: Path) -> Iterator[tuple[str, str]]:
    """Read which files are to go, with their stamps; "" where an earlier edgerift wrote none."""
    for line in _read_list(journal / _GOING):
        name, _, stamp = line.partition("\t")
        if _is_below(name):
            yield name, stamp


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
