"""Write docs/results.md from the committed results of the studies: `python studies/results.py`."""

from __future__ import annotations

from pathlib import Path

from edgerift.report import results_markdown
from edgerift.steps import read_document, write_whole
from edgerift.study import StudyResult

DOCS = Path(__file__).resolve().parent.parent / "docs"
STUDIES = ("diva", "divqat")


def main() -> None:
    """Read the results and write the page."""
    finished = [name for name in STUDIES if (DOCS / "studies" / name / "result.json").is_file()]
    results = [read_document(StudyResult, DOCS / "studies" / name / "result.json") for name in finished]
    write_whole(DOCS / "results.md", results_markdown(results, [f"studies/{name}" for name in finished]))


if __name__ == "__main__":
    main()
