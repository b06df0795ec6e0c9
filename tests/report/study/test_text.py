"""A study and its plan in a terminal: what is there, what is missing, what runs and fails, and how long it takes."""

import re
import time
from io import StringIO
from pathlib import Path
from statistics import mean

import pytest
from made_audit import HOSTILE
from made_study import FAILED, made_diva, made_divqat, made_study
from rich.console import Console

from edgerift.report import plan_text, study_text
from edgerift.report.study._plan_text import duration_words, kind_graph
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
    found = 100 * mean(report.attacks["diva"].evasive.value for report in reports)
    line = next(line for line in text.splitlines() if re.match(r" mnist +ResNet +QAT", line))
    assert f" {found:.1f} " in line
    built = 100 * mean(report.build_accuracy.value for report in reports)
    line = next(line for line in text.splitlines() if re.match(r" mnist +ResNet +\d", line))
    assert f" {built:.1f} " in line
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
PLACE = "cifar10, ResNet"


def key(number: int, kind: str) -> str:
    return f"{kind}-{number:08x}{0:024x}"


def step(number: int, kind: str, state: str, **fields: object) -> StepState:
    values: dict[str, object] = {
        "name": f"{kind}: {PLACE}, step {number}", "cells": 1, "seconds": 60.0 * number, "spent": 0.0, **fields,
    }  # fmt: skip
    return StepState.model_validate({"key": key(number, kind), "step": kind, "state": state, **values})


TRAIN, BUILD, PAIR, ANSWERS = key(1, "train"), key(3, "build"), key(4, "pair"), key(5, "tuned-answers")
FINISHED = (
    step(7, "train", "finished", seconds=90.0, spent=90.0),
    step(8, "train", "finished", seconds=None),
)
STEPS = (
    step(1, "train", "running", task="epochs", done=3, total=12, where="host-7, process 12", spent=33.0, cells=8),
    step(2, "adapt", "failed", error="RuntimeError: boom", log="/store/.runs/adapt.log").replace(
        key=FAILING, needs=(FINISHED[0].key,)
    ),
    step(3, "build", "blocked", needs=(FAILING,), waits_for=(FAILING,), blocked_by=FAILING),
    step(4, "pair", "blocked", needs=(BUILD, FAILING), waits_for=(BUILD, FAILING), blocked_by=FAILING),
    step(5, "tuned-answers", "ready", seconds=None),
    step(6, "pair", "waiting", needs=(TRAIN, ANSWERS, BUILD, FAILING), waits_for=(TRAIN, ANSWERS, BUILD, FAILING)),
)


def made_plan(**changes: object) -> Plan:
    values: dict[str, object] = {
        "study": "diva", "profile": "small", "cells": 36, "finished_cells": 20, "finished": FINISHED,
        "missing": STEPS, "seconds": 7800.0, "unknown": 1, "grows": False, **changes,
    }  # fmt: skip
    return Plan.model_validate(values)


def kinds(text: str) -> list[list[str]]:
    """Read the table of the kinds of steps."""
    lines = [re.split(r"  +", line.strip()) for line in text.splitlines()]
    begin = next(number for number, cells in enumerate(lines) if cells[0] == "step")
    return [cells for cells in lines[begin + 2 : begin + 2 + len(kind_graph(made_plan()))] if len(cells) == 6]


def test_plan_shows_the_graph_of_the_kinds_of_steps() -> None:
    text = written(plan_text(made_plan()), 100)
    assert "diva, profile small: 20 of 36 cells are finished." in text
    assert kinds(text) == [
        ["train", "–", "2", "1", "1 running", "27 s"],
        ["adapt", "train", "–", "1", "1 failed", "2 min"],
        ["build", "adapt", "–", "1", "1 blocked", "3 min"],
        ["tuned-answers", "–", "–", "1", "1 ready", "unknown"],
        ["pair", "build, tuned-answers", "–", "2", "1 waiting, 1 blocked", "10 min"],
    ]


def test_plan_counts_what_it_cannot_estimate() -> None:
    steps = (*STEPS, step(9, "pair", "ready", seconds=None, spent=5.0), step(10, "train", "ready", spent=900.0))
    found = {row[0]: row for row in kinds(written(plan_text(made_plan(missing=steps)), 140))}
    assert found["pair"][3:] == ["3", "1 ready, 1 waiting, 1 blocked", "10 min, 1 unknown"]
    # What took longer than it should takes nothing off the others.
    assert found["train"][-1] == "27 s"


def test_kinds_that_go_round_in_a_circle_are_shown_too() -> None:
    one, other = step(1, "a", "ready"), step(2, "b", "ready")
    circle = (one.replace(needs=(other.key,)), other.replace(needs=(step(3, "a", "ready").key,)), step(3, "a", "ready"))
    assert list(kind_graph(made_plan(missing=circle, finished=()))) == ["a", "b"]


def test_plan_fits_a_narrow_terminal() -> None:
    for details in (False, True):
        text = written(plan_text(made_plan(), details=details))
        assert max(len(line) for line in text.splitlines()) <= 80
        assert "…" not in text


def test_plan_says_what_runs_and_what_fails_by_name() -> None:
    text = flat(written(plan_text(made_plan()), 200)).replace("\N{NO-BREAK SPACE}", " ")
    assert (
        "running train: cifar10, ResNet, step 1; epochs, 3 of 12 (25.0 %); 33 s of about 1 min; host-7, process 12"
    ) in text
    assert (
        "failed adapt: cifar10, ResNet, step 2: RuntimeError: boom it blocks 2 steps: 1 build, 1 pair log: /store/.runs"
    ) in text


def test_plan_estimates_the_time() -> None:
    assert "Time left: about 2 h 10 min on one worker; 1 step unknown." in written(plan_text(made_plan()))
    assert "on one worker; 14 steps unknown." in written(plan_text(made_plan(unknown=14, missing=STEPS * 3)))
    assert "Time left: about 2 h 10 min on one worker.\n" in written(plan_text(made_plan(unknown=0)))
    nothing = flat(written(plan_text(made_plan(unknown=6, seconds=0.0))))
    assert "Time left: unknown; nothing like these 6 steps was run before." in nothing


@pytest.mark.parametrize("grows", [False, True])
def test_plan_says_that_searches_may_add_steps(grows: bool) -> None:
    assert ("Searches may add steps" in written(plan_text(made_plan(grows=grows)))) is grows


def test_details_list_every_step_with_what_it_waits_for() -> None:
    short, long = (written(plan_text(made_plan(), details=details), 200) for details in (False, True))
    assert long.startswith(short[: short.index("Time left")])
    at = PLACE
    assert long[short.index("Time left") :].replace("\N{NO-BREAK SPACE}", " ").splitlines()[:-2] == [
        f"train: {at}, step 7",
        "  finished in 2 min",
        f"train: {at}, step 8",
        "  finished",
        f"train: {at}, step 1 (8 cells)",
        "  running for 33 s; epochs, 3 of 12 (25.0 %)",
        f"adapt: {at}, step 2",
        "  failed, takes about 2 min",
        f"build: {at}, step 3",
        f"  blocked, takes about 3 min; adapt: {at}, step 2 failed",
        f"pair: {at}, step 4",
        f"  blocked, takes about 4 min; adapt: {at}, step 2 failed",
        f"tuned-answers: {at}, step 5",
        "  ready, time unknown",
        f"pair: {at}, step 6",
        # What the build waits for goes without saying.
        f"  waiting, takes about 6 min; waits for train: {at}, step 1; tuned-answers: {at}, step 5; "
        f"build: {at}, step 3",
    ]


def test_details_count_what_is_too_many_to_name() -> None:
    below = tuple(step(number, "train", "ready") for number in range(10))
    above = step(10, "pair", "waiting", waits_for=tuple(one.key for one in below))
    text = flat(written(plan_text(made_plan(missing=(*below, above)), details=True), 300))
    assert "step 5; 4 more Time left" in text
    assert "step 6;" not in text


def test_details_of_many_steps_are_quick() -> None:
    steps = [step(number, "train", "ready") for number in range(300)]
    steps += [
        step(300 + number, "pair", "waiting", waits_for=tuple(one.key for one in steps[number : number + 40]))
        for number in range(300)
    ]
    began = time.process_time()
    text = written(plan_text(made_plan(missing=tuple(steps)), details=True))
    assert time.process_time() - began < 5
    assert text.count("takes about") == 1 + 600


def test_nothing_missing_is_one_line() -> None:
    done = made_plan(missing=(), finished_cells=36, seconds=0.0, unknown=0)
    assert written(plan_text(done)) == "Nothing is missing from diva, profile small: all 36 cells finished.\n"
    assert f"train: {PLACE}, step 7\n  finished in" in written(plan_text(done, details=True))


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
