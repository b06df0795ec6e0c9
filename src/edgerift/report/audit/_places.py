"""Where results stand: an audit's folder in its repository, and the lines of `audit.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

_INDENT: Final = "  "


class Region(NamedTuple):
    """A part of a text file: lines and columns count from 1, and the last column is the one behind the end."""

    start_line: int
    start_column: int
    end_line: int
    end_column: int


def place_in_repository(folder: Path) -> str:
    """Write a folder's path from its repository's root, with `/` between the parts; "." is the root itself.

    The root is the nearest folder above, or the folder itself, that holds `.git`; without one it is the working
    directory. A folder outside of it has its name alone.
    """
    folder = folder.resolve()
    roots = [parent for parent in (folder, *folder.parents) if (parent / ".git").exists()]
    root = roots[0] if roots else Path.cwd()
    return folder.relative_to(root).as_posix() if folder.is_relative_to(root) else folder.name


def region(lines: Sequence[str], *path: str | int) -> Region:
    """Find a value in JSON that is indented by two blanks, by the keys and numbers on the way to it.

    Raises `KeyError` where there is no such value.

    >>> region(['{', '  "gate": [', '    {', '      "rule": "errors"', '    }', '  ]', '}'], "gate", 0)
    Region(start_line=3, start_column=5, end_line=5, end_column=6)
    """
    start, end = 0, len(lines) - 1
    for depth, step in enumerate(path, 1):
        start = _begin(lines, start, end, _INDENT * depth, step)
        end = _end(lines, start, _INDENT * depth)
    indent = len(lines[start]) - len(lines[start].lstrip())
    return Region(start + 1, indent + 1, end + 1, len(lines[end].rstrip(",")) + 1)


def _begin(lines: Sequence[str], start: int, end: int, indent: str, step: str | int) -> int:
    """Find the line on which a value begins, of those between the lines `start` and `end`."""
    inside = range(start + 1, end)
    if isinstance(step, str):
        found = [at for at in inside if lines[at].startswith(f"{indent}{json.dumps(step, ensure_ascii=False)}:")]
        number = 0
    else:
        found = [at for at in inside if _is_begin(lines[at], indent)]
        number = step
    if number >= len(found):
        raise KeyError(step)
    return found[number]


def _end(lines: Sequence[str], start: int, indent: str) -> int:
    """Find the line on which the value ends that begins on the line `start`."""
    if not lines[start].endswith(("{", "[")):
        return start
    return next(at for at in range(start + 1, len(lines)) if lines[at].startswith((indent + "}", indent + "]")))


def _is_begin(line: str, indent: str) -> bool:
    return line.startswith(indent) and line[len(indent)] not in " }]"
