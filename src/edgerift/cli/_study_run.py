"""What `edgerift study run` tells of what it did."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from rich.console import Group, RenderableType
from rich.text import Text

from edgerift import report, study
from edgerift.run import RunSummary
from edgerift.settings import Settings

_RESULT: Final = "result.json"


class StudyRun(Settings):
    """What `edgerift study run --json` prints: the cells of the study, what this run did, and where the report is."""

    type: Literal["study-run"] = "study-run"
    version: Literal[1] = 1
    study: str
    profile: str
    cells: int
    finished: int
    tracked: int | None
    report: str
    summary: RunSummary


def write_report(result: study.StudyResult, folder: Path) -> bool:
    """Write the report unless it is there already, and say whether it was written."""
    try:
        same = (folder / _RESULT).read_bytes() == (result.model_dump_json(indent=2) + "\n").encode()
    except OSError:
        same = False
    if same and (folder / "report.html").is_file():
        return False
    report.write_study(result, folder)
    return True


def step_names(plan: study.Plan) -> dict[str, str]:
    """Name the steps of a plan by their keys."""
    return {step.key: step.name for step in (*plan.finished, *plan.missing)}


def run_text(done: StudyRun, result: study.StudyResult, written: bool, names: Mapping[str, str]) -> RenderableType:
    """Say what a run did, with the main figures where the report was written anew."""
    summary, lines = done.summary, []
    if summary.built == 0 and not summary.failed and not result.missing:
        lines.append(f"Nothing to do: all {done.cells} cells of {done.study}, profile {done.profile}, are finished.")
    else:
        lines.append(
            f"{done.finished} of {done.cells} cells are finished; {summary.built} steps were built in "
            f"{summary.seconds:.0f} s."
        )
    for failed in summary.failed:
        blocked = f"; {len(failed.blocks)} steps wait for it" if failed.blocks else ""
        lines.append(f"Failed: {names.get(failed.key, failed.key)}: {failed.error}{blocked}. Log: {failed.log}")
    if done.tracked is not None:
        lines.append(f"MLflow: {done.tracked} runs written.")
    lines.append(f"Report: {done.report}")
    told = [Text(line) for line in lines]
    return Group(report.study_text(result, None), *told) if written else Group(*told)
