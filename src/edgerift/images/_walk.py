"""The content of a folder: links are followed, and anything unreadable is an error."""

from __future__ import annotations

import os
from pathlib import Path

from edgerift.errors import DataError

LONGEST = 200
"""Characters of a name that messages show."""

_MADE_BY_ARCHIVERS = "__MACOSX"


def subfolders(folder: Path) -> list[Path]:
    """List the folders in a folder, in order, without hidden ones; raises `DataError` as `files_below` does."""
    return [Path(entry) for entry in _entries(folder) if _is_folder(entry)]


def files_in(folder: Path) -> list[Path]:
    """List the files that lie in a folder itself, in order; raises `DataError` as `files_below` does."""
    return [Path(entry) for entry in _entries(folder) if not _is_folder(entry) and _is_file(entry)]


def files_below(folder: Path) -> list[Path]:
    """List the files below a folder in order, without hidden ones.

    Raises `DataError` for a folder that cannot be read, a link that leads to nothing or back to a folder that
    holds it, and a name that is not UTF-8.
    """
    files: list[Path] = []
    waiting = [(folder, frozenset({_identity(folder)}))]
    while waiting:
        current, above = waiting.pop()
        for entry in _entries(current):
            if not _is_folder(entry):
                files += [Path(entry)] if _is_file(entry) else []
                continue
            identity = _identity(Path(entry))
            if identity in above:
                raise DataError(f"the link {entry.path!r} leads back to a folder that holds it; remove the link")
            waiting.append((Path(entry), above | {identity}))
    return sorted(files)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise _unreadable(folder, error) from error
    shown = [entry for entry in entries if not entry.name.startswith(".") and entry.name != _MADE_BY_ARCHIVERS]
    for entry in shown:
        check_text(entry.path)
    return shown


def check_text(name: str) -> None:
    """Raise `DataError` for a name that is no text in UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"the name {name!r} is not UTF-8; rename it") from error


def printable(text: str) -> str:
    """Return a text in one line: unprintable characters are escaped, and a very long text is cut."""
    return (repr(text)[1:-1] if not text.isprintable() else text)[:LONGEST]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        raise _unreadable(Path(entry), error) from error


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a file; a pipe or a device is not."""
    try:
        if entry.is_symlink() and not os.path.exists(entry):  # noqa: PTH110
            raise DataError(f"the link {entry.path!r} leads to nothing; bring the file back or remove the link")
        return entry.is_file()
    except OSError as error:
        raise _unreadable(Path(entry), error) from error


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        raise _unreadable(folder, error) from error
    return status.st_dev, status.st_ino


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"{str(path)!r} cannot be read ({error.strerror}); check that you may read it")
