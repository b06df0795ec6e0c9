"""Tables of a study as CSV (RFC 4180): figures as plain numbers, text that no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

from edgerift.facts import COLUMNS, Facts, record_rows
from edgerift.report.shared._words import plain
from edgerift.report.tables._table import Cell, Number, StudyTable

#: What a spreadsheet takes for the beginning of a formula, in ASCII and in full width.
_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv_text(rows: Iterable[Sequence[str | float | None]]) -> str:
    """Write rows: numbers in full, None as nothing, text safe for spreadsheets."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerows([[_written(value) for value in row] for row in rows])
    return buffer.getvalue()


def records_csv(found: Facts) -> str:
    """Write every figure of every seed, and the published ones, a line each."""
    return csv_text([COLUMNS, *record_rows(found)])


def table_csv(table: StudyTable) -> str:
    """Write a table with a column for each figure and, where there are any, for its interval's ends and its note."""
    columns = [
        _columns(heading.line, [row[place] for row in table.rows]) for place, heading in enumerate(table.headings)
    ]
    return csv_text(zip(*(column for group in columns for column in group), strict=True))


def _columns(heading: str, cells: Sequence[Cell]) -> list[list[str | float | None]]:
    numbers = [cell if isinstance(cell, Number) else None for cell in cells]
    texts = [cell if isinstance(cell, str) else None for cell in cells]
    found: list[list[str | float | None]] = [
        [heading, *(text if number is None else number.value for text, number in zip(texts, numbers, strict=True))]
    ]
    if any(number is not None and number.low is not None for number in numbers):
        found.append([f"{heading}, low", *(None if number is None else number.low for number in numbers)])
        found.append([f"{heading}, high", *(None if number is None else number.high for number in numbers)])
    if any(number is not None and number.note for number in numbers):
        found.append([f"{heading}, over", *(None if number is None else number.note or None for number in numbers)])
    return found


def _written(value: str | float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        text = " ".join(plain(value).split())
        return f"'{text}" if text.startswith(_FORMULA) else text
    return repr(value)
