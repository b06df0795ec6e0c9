"""Write the documentation's pages on the published studies, or the report of each.

- `python studies/results.py` writes docs/results.md from the committed results, that of `defences.py` at its end, and
  points links to a study's `report.html`, which is too large for the repository, at the section that says how to make
  it.
- `python studies/results.py FOLDER` writes each study's whole report, `report.html` included, into FOLDER/NAME.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from defences import RESULT, Costs, page

from edgerift.report import results_markdown, write_study
from edgerift.steps import read_document, write_whole
from edgerift.study import StudyResult

DOCS = Path(__file__).resolve().parent.parent / "docs"
STUDIES = ("diva", "diva-digits", "divqat", "divqat-slope", "divqat-data-free")
HOW = "studies.md#the-page-of-a-published-study"


def main() -> None:
    """Read the committed results and write what was asked for."""
    found = {name: DOCS / "studies" / name for name in STUDIES}
    results = {name: read_document(StudyResult, folder / "result.json") for name, folder in found.items()}
    if len(sys.argv) > 1:
        for name, result in results.items():
            write_study(result, Path(sys.argv[1]) / name)
        return
    text = results_markdown(list(results.values()), [f"studies/{name}" for name in results])
    costs = read_document(Costs, DOCS / "studies" / "defences" / RESULT)
    text = f"{text.rstrip()}\n\n#{page(costs)}"
    write_whole(DOCS / "results.md", without_pages(text, HOW))
    for folder in found.values():
        tables = folder / "tables.md"
        write_whole(tables, without_pages(tables.read_text(encoding="utf-8"), f"../../{HOW}"))


def without_pages(text: str, how: str) -> str:
    """Point every link to a `report.html` at the section that says how to make one."""
    return re.sub(r"\]\((?:[\w./-]*/)?report\.html\)", f"]({how})", text)


if __name__ == "__main__":
    main()
