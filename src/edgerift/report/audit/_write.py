"""The reports of an audit, written into its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgerift.audit import Audit
from edgerift.report.audit._html import audit_html
from edgerift.report.audit._junit import audit_junit
from edgerift.report.audit._sarif import audit_sarif
from edgerift.report.audit._summary import audit_summary
from edgerift.steps import write_whole

HTML: Final = "report.html"
SARIF: Final = "report.sarif"
JUNIT: Final = "report.junit.xml"
SUMMARY: Final = "summary.md"


def write_reports(audit: Audit, folder: Path) -> None:
    """Write `report.html`, `report.sarif`, `report.junit.xml` and `summary.md` beside the audit's findings."""
    write_whole(folder / HTML, audit_html(audit, folder))
    write_whole(folder / SARIF, audit_sarif(audit))
    write_whole(folder / JUNIT, audit_junit(audit))
    write_whole(folder / SUMMARY, audit_summary(audit))
