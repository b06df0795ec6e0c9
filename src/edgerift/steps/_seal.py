"""The seal of a result: the SHA-256 of every file, written with the result and verified when it is opened."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from edgerift.errors import StoreError
from edgerift.steps._writing import write_whole

#: The file of a result's digests, which `sha256sum --check SHA256SUMS` reads.
SEAL: Final = "SHA256SUMS"

Digests: TypeAlias = Mapping[str, str]
Stamp: TypeAlias = tuple[tuple[str, int, int, int], ...]

_HEAD: Final = "# edgerift seal 1 "
_LINE: Final = re.compile(r"(\\?)([0-9a-f]{64})  ([^\n]+)")


class DamageError(Exception):
    """A damaged result; the message completes a sentence about it."""


def digest_files(folder: Path) -> Digests:
    """Compute the SHA-256 of every file below `folder` but the seal, by its name; of a link, that of its target.

    Raises `StoreError` for what is no file, no folder and no link.
    """
    return {path.relative_to(folder).as_posix(): _digest(path) for path in sorted(_files(folder))}


def write_seal(folder: Path, digests: Digests) -> None:
    """Write the seal of a folder; raises `StoreError` when the disk refuses."""
    write_whole(folder / SEAL, _text(digests))


def read_seal(folder: Path) -> Digests | None:
    """Read the seal of a folder; None where there is none. Raises `DamageError` for one that is damaged."""
    try:
        content = (folder / SEAL).read_bytes()
    except FileNotFoundError:
        return None
    lines = content.decode(errors="surrogateescape").split("\n")[1:-1]
    digests = dict(_entry(line) for line in lines)
    if content != _text(digests):
        raise DamageError(f"has a {SEAL} that is damaged")
    return digests


def missing_file(folder: Path, digests: Digests) -> str | None:
    """Return a sealed file that is missing; reads no content."""
    return next((name for name in digests if not os.path.lexists(folder / name)), None)


def altered_file(folder: Path, digests: Digests) -> str | None:
    """Return a sealed file whose content has changed."""
    return next((name for name, digest in digests.items() if _digest(folder / name) != digest), None)


def stamp(folder: Path, names: Iterable[str]) -> Stamp:
    """Return size, time and inode of the seal and its files, which change when one is rewritten."""
    found = ((name, (folder / name).lstat()) for name in (SEAL, *names) if os.path.lexists(folder / name))
    return tuple((name, status.st_size, status.st_mtime_ns, status.st_ino) for name, status in found)


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if (path.is_symlink() or not path.is_dir()) and path != folder / SEAL:
            yield path


def _digest(path: Path) -> str:
    if path.is_symlink():
        return hashlib.sha256(os.fsencode(path.readlink())).hexdigest()
    if not stat.S_ISREG(path.stat().st_mode):
        raise StoreError(f"{path} is no file, no folder and no link; a result may hold nothing else")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(digests: Digests) -> bytes:
    """Write the lines, in their order, after a line with their digest: a truncated seal is invalid."""
    lines = "".join(_line(name, digest) for name, digest in sorted(digests.items())).encode(errors="surrogateescape")
    return f"{_HEAD}{hashlib.sha256(lines).hexdigest()}\n".encode() + lines


def _line(name: str, digest: str) -> str:
    """Write a line as `sha256sum` does, which marks and escapes a name that would break it."""
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n")
    mark = "\\" if escaped != name else ""
    return f"{mark}{digest}  {escaped}\n"


def _entry(line: str) -> tuple[str, str]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise DamageError(f"has a {SEAL} that is damaged")
    mark, digest, name = match.groups()
    if mark:
        name = re.sub(r"\\([\\n])", lambda found: "\n" if found[1] == "n" else "\\", name)
    if name.startswith("/") or ".." in name.split("/"):
        raise DamageError(f"has a {SEAL} that names {name!r}, which is not below its folder")
    return name, digest
