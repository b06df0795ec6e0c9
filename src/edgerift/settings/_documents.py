"""Untrusted documents: read up to a size, parsed up to a depth, refused in one line."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, final

from pydantic_core import from_json

from edgerift.errors import EdgeriftError, InputError, RecipeError, first_line
from edgerift.settings._settings import Settings

#: A description of 50,000 images, a line each, has some 40 megabytes. What Python makes of text takes 20 times as much.
LARGEST_DOCUMENT: Final = 2**26
LARGEST_MODEL: Final = 2**33

_CHUNK: Final = 2**20

_Values = TypeVar("_Values", bound=Settings)


@final
@dataclass(frozen=True)
class Document:
    """An untrusted file: its name in errors, their advice and class, and its maximum size in bytes.

    Reading takes no more memory than `most` bytes and their parsed content, runs no code of the file, and raises
    nothing but `error`. With `may_be_pipe` it may be a pipe, which is read once and to its end.

    >>> Document(Path("/nowhere"), "policy", "give a YAML file").content()
    Traceback (most recent call last):
    ...
    edgerift.errors.InputError: cannot read the policy /nowhere (No such file or directory); give a YAML file
    """

    path: Path
    kind: str
    advice: str
    error: type[EdgeriftError] = InputError
    most: int = LARGEST_DOCUMENT
    may_be_pipe: bool = False

    def content(self) -> bytes:
        """Read the whole file, which is a regular one unless it may be a pipe; raises `error`."""
        try:
            if not (self.may_be_pipe and stat.S_ISFIFO(self.path.stat().st_mode)):
                self.require_regular()
            with self.path.open("rb") as file:
                return b"".join(self._chunks(file))
        except (OSError, ValueError) as failure:
            raise self._unread(failure) from None

    def json(self) -> Any:
        """Read JSON as :func:`parse_json` does; raises `error`."""
        try:
            return parse_json(self.content())
        except ValueError as failure:
            raise self.refused(f"this is not JSON: {first_line(failure)}") from None

    def settings(self, kind: type[_Values]) -> _Values:
        """Read settings as JSON; raises `error`."""
        try:
            return kind.model_validate_json(self.content())
        except RecipeError as failure:
            raise self.refused(str(failure)) from None

    def require_regular(self) -> int:
        """Return the size of the file; raises `error` for one that is missing, special or too large."""
        try:
            found = self.path.stat()
        except (OSError, ValueError) as failure:
            raise self._unread(failure) from None
        if not stat.S_ISREG(found.st_mode):
            reason = "Is a directory" if stat.S_ISDIR(found.st_mode) else "not a regular file"
            raise self.error(f"cannot read the {self.kind} {self.path} ({reason}); {self.advice}")
        if found.st_size > self.most:
            raise self._too_large()
        return found.st_size

    def refused(self, told: str) -> EdgeriftError:
        """Build the error for content that is not allowed."""
        return self.error(f"{self.path} is no {self.kind} of this version ({told}); {self.advice}")

    def _chunks(self, file: Any) -> Iterator[bytes]:
        # A file may grow while it is read, and a special file has no size.
        total = 0
        while chunk := file.read(_CHUNK):
            total += len(chunk)
            if total > self.most:
                raise self._too_large()
            yield chunk

    def _too_large(self) -> EdgeriftError:
        return self.error(f"the {self.kind} {self.path} has more than {self.most:,} bytes; {self.advice}")

    def _unread(self, failure: OSError | ValueError) -> EdgeriftError:
        reason = failure.strerror if isinstance(failure, OSError) and failure.strerror else first_line(failure)
        return self.error(f"cannot read the {self.kind} {self.path} ({reason}); {self.advice}")


def parse_json(text: str | bytes) -> Any:
    """Parse JSON with a nesting depth of at most about 200, without NaN; raises `ValueError` of one line.

    >>> parse_json('{"steps": [20, 1e-3]}')
    {'steps': [20, 0.001]}
    """
    return from_json(text.encode() if isinstance(text, str) else text, allow_inf_nan=False)


def no_file(kind: str, path: Path, advice: str) -> str:
    """Build the message for a path at which there is no file, with the nearest name in its folder.

    >>> no_file("build", Path("/nowhere/int8.onnx"), "give the file")
    'no build at /nowhere/int8.onnx; give the file'
    """
    if is_folder(path):
        return f"no {kind} at {path}, which is a folder; give the path of a file"
    try:
        beside = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    except (OSError, ValueError):
        beside = []
    near = difflib.get_close_matches(path.name, beside, n=1)
    hint = f"did you mean {path.with_name(near[0])}? " if near else ""
    return f"no {kind} at {path}; {hint}{advice}"


def is_file(path: Path) -> bool:
    """Return whether a path leads to a regular file; False where that is unknown, as for a name that is too long."""
    return os.path.isfile(path)  # noqa: PTH113 - `Path.is_file` raises for such names


def is_folder(path: Path) -> bool:
    """Return whether a path leads to a folder; False where that is unknown, as for a name that is too long."""
    return os.path.isdir(path)  # noqa: PTH112 - `Path.is_dir` raises for such names
