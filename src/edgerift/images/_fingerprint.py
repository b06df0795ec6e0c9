"""Fingerprints: short names of content, equal exactly where the content is."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgerift.errors import DataError


def derive(*parts: str | bytes) -> str:
    """Name the result of an operation on its inputs: 32 hexadecimal digits of a SHA-256 over all `parts`.

    Each part is hashed by itself first, so that moving a byte from one part to the next changes the name.

    >>> derive("ab", "c") == derive("a", "bc")
    False
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part.encode() if isinstance(part, str) else part).digest())
    return digest.hexdigest()[:32]


def source_digest(path: Path) -> str:
    """Return the `file_digest` of what a user gave; raises `DataError` for a file that cannot be read."""
    try:
        return file_digest(path)
    except OSError as error:
        raise DataError(f"'{path}' cannot be read ({error.strerror}); check that you may read it") from error


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
