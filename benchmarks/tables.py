"""Results of benchmarks, and Markdown tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def read(name: str) -> dict[str, Any]:
    """Read one result."""
    result: dict[str, Any] = json.loads((HERE / name).read_text())
    return result


def table(headings: list[str], rows: list[list[str]]) -> str:
    """Write a Markdown table, numbers to the right."""
    lines = [headings, ["---", *["--:"] * (len(headings) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def insert(path: Path, marks: tuple[str, str], text: str) -> None:
    """Replace what stands between two marks of a page."""
    before, _, rest = path.read_text().partition(marks[0])
    after = rest.partition(marks[1])[2]
    path.write_text(f"{before}{marks[0]}\n\n{text.strip()}\n\n{marks[1]}{after}")
