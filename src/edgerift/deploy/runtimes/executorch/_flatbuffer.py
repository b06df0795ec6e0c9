"""Reads a flatbuffer by its schema; every offset and every length is looked at before it is followed."""

from __future__ import annotations

import struct
from typing import Any, Final, final

import numpy as np

from edgerift.deploy.runtimes.executorch._schema import SCALARS, Enum, Field, Schema

Json = dict[str, Any]

#: The most tables in a file, and the bytes that each takes at least: offsets may lead to one place again and again.
_MOST_TABLES: Final = 200_000
_TABLE: Final = 8
#: Tables and numbers beside those that a file has room for.
_FEW: Final = 1000
#: What reading a damaged buffer raises.
DAMAGED: Final = (struct.error, IndexError, ValueError, KeyError, OverflowError, RecursionError)


def read_flatbuffer(schema: Schema, data: memoryview) -> Json:
    """Read a flatbuffer as plain data: tables as dictionaries, numbers of an enumeration by their names.

    A union is its table, and beside it stands its kind, as in `val` and `val_type`. What is left out has the default of
    the schema; absent tables are None. Vectors of bytes stay views of the file. Raises one of `DAMAGED`.
    """
    if bytes(data[4:8]) != schema.identifier:
        raise ValueError("another identifier")
    reader = _Reader(schema, data)
    return reader.table(reader.followed(0), schema.root)


@final
class _Reader:
    def __init__(self, schema: Schema, data: memoryview) -> None:
        self._schema, self._data = schema, data
        self._numbers_left = len(data) + _FEW
        self._tables_left = min(len(data) // _TABLE + _FEW, _MOST_TABLES)

    def _number(self, code: str, place: int) -> Any:
        if place < 0:
            raise IndexError(place)
        return struct.unpack_from(f"<{code}", self._data, place)[0]

    def followed(self, place: int) -> int:
        """Where an offset leads."""
        return place + int(self._number("I", place))

    def table(self, place: int, name: str) -> Json:
        """Read a table."""
        self._tables_left -= 1
        if self._tables_left < 0:
            raise ValueError("too many tables")
        known = place - self._number("i", place)
        size = self._number("H", known)
        found: Json = {}
        for field in self._schema.tables[name]:
            if field.kind in self._schema.unions and not field.is_vector:
                kind = self._placed(place, known, size, field.place - 1)
                number = 0 if kind is None else self._number("B", kind)
                found |= self._union(field, number, self._placed(place, known, size, field.place))
            else:
                found[field.name] = self._field(field, self._placed(place, known, size, field.place))
        return found

    def _placed(self, table: int, known: int, size: int, place: int) -> int | None:
        """Where a field of a table stands; None for one that is left out."""
        entry = 4 + 2 * place
        offset = self._number("H", known + entry) if entry + 2 <= size else 0
        return table + offset if offset else None

    def _union(self, field: Field, number: int, place: int | None) -> Json:
        if number == 0 or place is None:
            return {f"{field.name}_type": "NONE", field.name: None}
        name, table = self._schema.unions[field.kind][number - 1]
        return {f"{field.name}_type": name, field.name: self.table(self.followed(place), table)}

    def _field(self, field: Field, place: int | None) -> Any:
        if field.is_vector:
            return [] if place is None else self._vector(field.kind, self.followed(place))
        if field.kind == "string":
            return "" if place is None else self._text(self.followed(place))
        if field.kind in self._schema.tables:
            return None if place is None else self.table(self.followed(place), field.kind)
        return self._scalar(field, place)

    def _scalar(self, field: Field, place: int | None) -> Any:
        enum = self._schema.enums.get(field.kind)
        code = SCALARS[field.kind if enum is None else enum.stored]
        if place is not None:
            number = self._number(code, place)
        elif enum is not None:
            return field.default or _named(enum, 0)
        else:
            number = _default(field.default, code)
        return number if enum is None else _named(enum, int(number))

    def _text(self, place: int) -> str:
        return bytes(self._counted(place, 1)[1]).decode("utf-8", "replace")

    def _vector(self, kind: str, place: int) -> Any:
        if kind in self._schema.tables:
            count, _ = self._counted(place, 4)
            return [self.table(self.followed(place + 4 + 4 * index), kind) for index in range(count)]
        if kind == "string":
            count, _ = self._counted(place, 4)
            return [self._text(self.followed(place + 4 + 4 * index)) for index in range(count)]
        code = SCALARS[kind]
        _, content = self._counted(place, struct.calcsize(f"<{code}"))
        return content if code == "B" else np.frombuffer(content, np.dtype(code).newbyteorder("<")).tolist()

    def _counted(self, place: int, size: int) -> tuple[int, memoryview]:
        """The number of entries of a vector, and their bytes."""
        count = int(self._number("I", place))
        end = place + 4 + count * size
        self._numbers_left -= count
        if end > len(self._data) or self._numbers_left < 0:
            raise ValueError("a vector beyond the file")
        return count, self._data[place + 4 : end]


def _named(enum: Enum, number: int) -> str:
    return enum.names.get(number, str(number))


def _default(text: str, code: str) -> Any:
    if code == "?":
        return text == "true"
    return float(text or 0) if code in "fd" else int(text or 0)
