"""The schemas of flatbuffers that ExecuTorch ships beside its code, so that files are read by the installed version."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from edgerift.errors import BuildError

#: A word, a text in quotes, or one character; what stands behind `//` is a comment.
_TOKEN: Final = re.compile(r"//[^\n]*|\"[^\"]*\"|[\w.+-]+|[^\s\w]")
#: The element types by their names in a schema, as `struct` calls them.
SCALARS: Final[Mapping[str, str]] = {
    "bool": "?",
    "byte": "b",
    "int8": "b",
    "ubyte": "B",
    "uint8": "B",
    "short": "h",
    "int16": "h",
    "ushort": "H",
    "uint16": "H",
    "int": "i",
    "int32": "i",
    "uint": "I",
    "uint32": "I",
    "long": "q",
    "int64": "q",
    "ulong": "Q",
    "uint64": "Q",
    "float": "f",
    "float32": "f",
    "double": "d",
    "float64": "d",
}


class Field(NamedTuple):
    """A field of a table: its name, its type, whether it holds many of that type, its place and its default."""

    name: str
    kind: str
    is_vector: bool
    place: int
    default: str


class Enum(NamedTuple):
    """An enumeration: how its numbers are stored, and their names."""

    stored: str
    names: dict[int, str]


@dataclass
class Schema:
    """What a schema declares, by name; a union is a list of names, each with the table that it stands for."""

    identifier: bytes = b""
    root: str = ""
    tables: dict[str, tuple[Field, ...]] = field(default_factory=dict)
    unions: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    enums: dict[str, Enum] = field(default_factory=dict)


@functools.cache
def read_schema(path: Path) -> Schema:
    """Read a schema and those that it includes.

    Raises :class:`~edgerift.errors.BuildError` where this version of ExecuTorch ships none that can be understood.
    """
    schema = Schema()
    try:
        _collect(schema, path)
        _fill_places(schema)
    except (OSError, ValueError, StopIteration) as error:
        raise BuildError(
            f"this version of ExecuTorch describes its files in a way that is not known here ({path.name}: "
            f"{type(error).__name__}); install another one: pip install 'edgerift[executorch]'"
        ) from None
    return schema


def _collect(schema: Schema, path: Path) -> None:
    text = path.read_text("utf-8")
    tokens = iter([token for token in _TOKEN.findall(text) if not token.startswith("//")])
    for word in tokens:
        if word == "include":
            _collect(schema, path.with_name(_statement(tokens)[0].strip('"')))
        elif word == "file_identifier":
            schema.identifier = _statement(tokens)[0].strip('"').encode()
        elif word == "root_type":
            schema.root = _statement(tokens)[0]
        elif word in _DECLARATIONS:
            _DECLARATIONS[word](schema, next(tokens), tokens)
        else:
            _statement(tokens)


def _statement(tokens: Iterator[str]) -> list[str]:
    return list(iter(lambda: next(tokens), ";"))


def _block(tokens: Iterator[str]) -> list[str]:
    return list(iter(lambda: next(tokens), "}"))


def _entries(tokens: list[str]) -> list[list[str]]:
    """Split what stands between commas."""
    found: list[list[str]] = [[]]
    for token in tokens:
        if token == ",":
            found.append([])
        else:
            found[-1].append(token)
    return [entry for entry in found if entry]


def _enum(schema: Schema, name: str, tokens: Iterator[str]) -> None:
    stored = list(iter(lambda: next(tokens), "{"))[1]
    names: dict[int, str] = {}
    number = -1
    for entry in _entries(_block(tokens)):
        number = int(entry[2]) if "=" in entry else number + 1
        names[number] = entry[0]
    schema.enums[name] = Enum(stored, names)


def _union(schema: Schema, name: str, tokens: Iterator[str]) -> None:
    next(tokens)
    schema.unions[name] = [(entry[0], entry[-1]) for entry in _entries(_block(tokens))]


def _table(schema: Schema, name: str, tokens: Iterator[str]) -> None:
    next(tokens)
    fields = []
    declared = iter(_block(tokens))
    for word in declared:
        rest = _statement(declared)  # A colon, the type, perhaps a default, perhaps attributes in brackets.
        is_vector = rest[1] == "["
        default = rest[rest.index("=") + 1] if "=" in rest else ""
        fields.append(Field(word, rest[2 if is_vector else 1], is_vector, -1, default))
    schema.tables[name] = tuple(fields)


_DECLARATIONS: Final = {"enum": _enum, "union": _union, "table": _table}


def _fill_places(schema: Schema) -> None:
    """Number the fields; one that holds a union has its kind in a place before it."""
    for name, fields in schema.tables.items():
        place, placed = 0, []
        for entry in fields:
            place += entry.kind in schema.unions
            placed.append(entry._replace(place=place))
            place += 1
        schema.tables[name] = tuple(placed)
