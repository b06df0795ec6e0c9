"""The files that reports write into a folder, and those of an earlier report that a later one no longer has."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final, final

from edgerift.steps import disk_errors, write_whole

#: The list of what reports wrote, in the folder itself, as `sha256sum --check` reads it.
LIST: Final = ".written"

#: A line of the list: a digest and the plain name of a file, which leads into no other folder.
_LINE: Final = re.compile(r"([0-9a-f]{64})  (\w[\w-]*\.\w+)")


@final
class ReportFiles:
    """The files of one report in a folder, which may hold those of an earlier report and files of others.

    A file is listed before it is written, so that a report that was killed leaves no unlisted file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._earlier = _read(folder / LIST)
        self._own: set[tuple[str, str]] = set()

    def write(self, name: str, data: bytes | str) -> None:
        """Write a file whole. Raises :class:`~edgerift.errors.StoreError` when it cannot be written."""
        content = data.encode() if isinstance(data, str) else data
        self._own.add((name, hashlib.sha256(content).hexdigest()))
        self._list(self._own | self._earlier)
        write_whole(self._folder / name, content)

    def remove_earlier(self) -> None:
        """Remove the files that an earlier report wrote and this one did not.

        A file that is not listed, or that was changed since, stays. Raises
        :class:`~edgerift.errors.StoreError` when a file cannot be removed.
        """
        kept = {name for name, _ in self._own}
        for name in sorted({name for name, _ in self._earlier} - kept):
            path = self._folder / name
            with disk_errors(path):
                if path.is_file() and not path.is_symlink() and (name, _digest(path)) in self._earlier:
                    path.unlink()
        self._list(self._own)

    def _list(self, files: set[tuple[str, str]]) -> None:
        write_whole(self._folder / LIST, "".join(f"{digest}  {name}\n" for name, digest in sorted(files)))


def _read(path: Path) -> set[tuple[str, str]]:
    """Read the names and digests of a list; none where there is no list, and none of a line that is no entry."""
    if not path.is_file():
        return set()
    with disk_errors(path):
        text = path.read_text(encoding="utf-8", errors="replace")
    found = (_LINE.fullmatch(line) for line in text.splitlines())
    return {(entry[2], entry[1]) for entry in found if entry}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
