"""A study and its plan in a terminal: what is there, what is missing, what runs and fails, and how long it takes."""

import re
from io import StringIO
from pathlib import Path

import pytest
from made_audit import HOSTILE
from made_study import FAILED, made_diva, made_divqat, made_study
from rich.console import Console

from edgerift.report import plan_text, study_text
from edgerift.report._study._plan_text import duration_words
from edgerift.report._study._spread import shares
from edgerift.study import MissingCell, Plan, StepState


def written(renderable: object, width: int = 80) -> str:
    """Render as a terminal of so many columns does."""
    stream = StringIO()
    Console(width=width, file=stream).print(renderable)
    return stream.getvalue()


def flat(text: str) -> str:
    return " ".join(text.split())


# The study


def test_shows_the_main_figures_of_both_threats() -> None:
    result = made_study()
    text = written(study_text(result))
    place = ("mnist", "ResNet", "qat")
    reports = [one.report for one in result.pairs if (one.data, one.original, one.adaptation) == place]
    found = shares([report.attacks["diva"].evasive for report in reports], 3)
    assert found is not None
    line = next(line for line in text.splitlines() if re.match(r" mnist +ResNet +QAT", line))
    assert f" {found.value:.1f} " in line
    built = shares([report.build_accuracy for report in reports], 3)
    assert built is not None
    line = next(line for line in text.splitlines() if re.match(r" mnist +ResNet +\d", line))
    assert f" {built.value:.1f} " in line
    for said in (
        "gtsrb, ResNet: victims and their clones",
        "Small figures: the 95 % interval",
        "soft minus",
        "QAT + Reverse",
    ):
        assert said in flat(text)


def test_fits_a_narrow_terminal() -> None:
    text = written(study_text(made_study()))
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text


def test_names_what_is_missing_and_where_the_report_is() -> None:
    text = flat(written(study_text(made_diva(), Path("there")), 200))
    assert "32 of 36 cells have a result" in text
    assert f"cifar10, ResNet, qat, seed 2: {FAILED}" in text
    assert "mnist, MobileNet, ptq, seed 0: not run to its end yet" in text
    assert "Report: there/report.html" in text
    assert "2 of 3 seeds" in text
    lost = tuple(MissingCell(name=f"cell {number}", error=None) for number in range(11))
    text = written(study_text(made_divqat(missing=False).replace(missing=lost)))
    assert "cell 7" in text
    assert "cell 8" not in text
    assert "and 3 more" in text


@pytest.mark.parametrize("kept", ["pairs", "thefts"])
def test_shows_what_there_is(kept: str) -> None:
    result = made_study()
    text = written(study_text(result.replace(**{"pairs": (), "thefts": (), kept: getattr(result, kept)})))
    assert ("Evasive at any step" in text) is (kept == "pairs")
    assert ("victims and their clones" in text) is (kept == "thefts")
    nothing = written(study_text(result.replace(pairs=(), thefts=())))
    assert "0 of 5 cells" in nothing
    assert "interval" not in nothing


def test_errors_of_a_study_move_no_cursor() -> None:
    text = written(study_text(made_diva().replace(missing=(MissingCell(name="x", error=f"{HOSTILE} [red]y[/red]"),))))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[red]y[/red]" in text


# The plan

FAILING = f"adapt-{0xFA11:032x}"


def step(number: int, kind: str, state: str, **fields: object) -> StepState:
    values: dict[str, object] = {"waits_for": 0, "seconds": 60.0 * number, "spent": 0.0, **fields}
    return StepState.model_validate({"key": f"{kind}-{number:08x}{0:024x}", "step": kind, "state": state, **values})


STEPS = (
    step(1, "train", "running", task="epochs", done=3, total=12, where="host-7, process 12", spent=33.0),
    step(2, "adapt", "failed", error="RuntimeError: boom", log="/store/.runs/adapt.log").replace(key=FAILING),
    step(3, "build", "blocked", waits_for=1, blocked_by=FAILING),
    step(4, "pair", "blocked", waits_for=2, blocked_by=FAILING),
    step(5, "tuned-answers", "ready", seconds=None),
    step(6, "pair", "waiting", waits_for=3),
)


def made_plan(**changes: object) -> Plan:
    values: dict[str, object] = {
        "study": "diva", "profile": "small", "cells": 36, "finished_cells": 20,
        "finished": {"train": 5, "pair": 20, "evade": 1060}, "missing": STEPS, "seconds": 7800.0, "unknown": 1,
        "grows": False, **changes,
    }  # fmt: skip
    return Plan.model_validate(values)


def counts(text: str) -> dict[str, dict[str, str]]:
    """Read the table of the steps."""
    lines = [line.split() for line in text.splitlines()]
    headings = next(line for line in lines if line[:1] == ["step"])
    rows = [line for line in lines if len(line) == len(headings) and line[0] != "step"]
    return {row[0]: dict(zip(headings[1:], row[1:], strict=True)) for row in rows}


def test_plan_counts_cells_and_steps() -> None:
    text = written(plan_text(made_plan()))
    assert "diva, profile small: 20 of 36 cells are finished." in text
    found = counts(text)
    assert found["pair"] == {
        "finished": "20", "missing": "2", "running": "–", "ready": "–", "waiting": "1", "failed": "–", "blocked": "1",
    }  # fmt: skip
    assert found["evade"]["finished"] == "1,060"
    assert (found["train"]["running"], found["tuned-answers"]["ready"], found["adapt"]["failed"]) == ("1", "1", "1")


def test_plan_shows_only_the_states_that_there_are() -> None:
    text = written(plan_text(made_plan(missing=(STEPS[4],))))
    assert list(counts(text)["train"]) == ["finished", "missing", "ready"]


def test_plan_says_what_runs_and_what_fails() -> None:
    text = flat(written(plan_text(made_plan()), 200))
    assert "running train-00000001: epochs, 3 of 12 (25.0 %); 33 s of about 1 min; host-7, process 12" in text.replace(
        "\N{NO-BREAK SPACE}", " "
    )
    assert "failed adapt-00000000: RuntimeError: boom it blocks 2 steps: 1 build, 1 pair log: /store/.runs" in text


def test_plan_estimates_the_time() -> None:
    assert "Time left: about 2 h 10 min on one worker; 1 step unknown." in written(plan_text(made_plan()))
    assert "on one worker; 14 steps unknown." in written(plan_text(made_plan(unknown=14, missing=STEPS * 3)))
    assert "Time left: about 2 h 10 min on one worker.\n" in written(plan_text(made_plan(unknown=0)))
    nothing = flat(written(plan_text(made_plan(unknown=6, seconds=0.0))))
    assert "Time left: unknown; nothing like these 6 steps was run before." in nothing


@pytest.mark.parametrize("grows", [False, True])
def test_plan_says_that_searches_may_add_steps(grows: bool) -> None:
    assert ("Searches may add steps" in written(plan_text(made_plan(grows=grows)))) is grows


def test_details_list_every_missing_step() -> None:
    short, long = (written(plan_text(made_plan(), details=details), 120) for details in (False, True))
    for one in STEPS:
        name = one.key[: one.key.rindex("-") + 9]
        lines = [line for line in long.splitlines() if line.split()[:2] == [name, one.state]]
        assert len(lines) == 1
        assert lines[0] not in short
        takes = "unknown" if one.seconds is None else duration_words(one.seconds)
        assert lines[0].rstrip().endswith(takes)
    assert "adapt-00000000 (failed)" in long
    assert "3 steps" in long


def test_nothing_missing_is_one_line() -> None:
    done = made_plan(missing=(), finished_cells=36, seconds=0.0, unknown=0)
    assert written(plan_text(done)) == "Nothing is missing from diva, profile small: all 36 cells finished.\n"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "1 s"), (59.4, "59 s"), (59.6, "1 min"), (3599.0, "1 h"), (3600.0, "1 h"), (3660.0, "1 h 1 min"),
        (86399.0, "1 d"), (86400.0, "1 d"), (90000.0, "1 d 1 h"),
    ],
)  # fmt: skip
def test_times_are_read_at_a_glance(seconds: float, words: str) -> None:
    assert duration_words(seconds) == words


def test_errors_of_a_plan_move_no_cursor() -> None:
    failed = STEPS[1].replace(error=f"{HOSTILE} [red]y[/red]")
    text = written(plan_text(made_plan(missing=(failed,))), 200)
    assert "\x1b" not in text
    assert "[red]y[/red]" in text
