"""A result as one file: packed deterministically, unpacked without trust."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

from edgerift.errors import StoreError, first_line


def pack(folder: Path, file: Path, last: str) -> None:
    """Write what is below `folder` to `file` as an uncompressed tar: equal folders give equal bytes.

    The names are in order, without dates, owners and permissions; the entry `last` comes after all others, so that a
    truncated tar lacks it. Raises `StoreError` for an entry that is no file and no folder, and `OSError` when the disk
    refuses.
    """
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT, encoding="utf-8") as archive:
        for name in sorted(names, key=lambda name: (name == last, name)):
            _add(archive, folder / name, name)


def unpack(file: Path, folder: Path, title: str) -> None:
    """Write the entries of the tar `file`, which is untrusted, into the new folder `folder`.

    Entries are files and folders with names below `folder`, each once; anything else is refused before the
    first is written. Raises `StoreError`, which calls the tar `title`, for what is refused and for a file that
    is damaged, and `OSError` when the disk refuses.
    """
    try:
        with tarfile.open(file, "r:", encoding="utf-8") as archive:
            entries = _entries(archive, folder, title)
            folder.mkdir()
            for path, entry in entries.items():
                _write(archive, entry, path)
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as error:
        raise damaged(title, f"is damaged ({first_line(error)})") from None


def damaged(title: str, verdict: str) -> StoreError:
    """Build the error for the packed result `title` that cannot be used."""
    return StoreError(f"{title} {verdict}; delete it and run again")


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    entry = tarfile.TarInfo(name)
    if path.is_symlink() or not (path.is_dir() or path.is_file()):
        raise StoreError(f"{path} is no file and no folder; a result on a mirror may hold nothing else")
    if path.is_dir():
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(entry)
        return
    with path.open("rb") as content:
        entry.size = path.stat().st_size
        archive.addfile(entry, content)


def _entries(archive: tarfile.TarFile, folder: Path, title: str) -> dict[Path, tarfile.TarInfo]:
    """Where each entry goes; raises `StoreError` when one may not be written."""
    entries: dict[Path, tarfile.TarInfo] = {}
    for entry in archive.getmembers():
        path = folder / entry.name
        if path == folder or not path.is_relative_to(folder) or ".." in path.relative_to(folder).parts:
            raise damaged(title, f"holds the name {entry.name!r}, which is not below its folder")
        if entry.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE) or entry.issparse():
            raise damaged(title, f"holds {entry.name!r}, which is no file and no folder")
        if path in entries:
            raise damaged(title, f"holds {entry.name!r} twice")
        entries[path] = entry
    for path, entry in entries.items():
        if any(above in entries and not entries[above].isdir() for above in path.parents):
            raise damaged(title, f"holds {entry.name!r} below a file")
    return entries


def _write(archive: tarfile.TarFile, entry: tarfile.TarInfo, path: Path) -> None:
    if entry.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    source = archive.extractfile(entry)
    assert source is not None, "an entry that is a file has content"
    with source, path.open("xb") as target:
        shutil.copyfileobj(source, target)
