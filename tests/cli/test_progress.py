"""How far a command is, as a log and as a terminal show it."""

import io

import pytest
from rich.console import Console

from edgerift.cli._bars import bars
from edgerift.cli._progress import InLog, OnTerminal, duration


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(clock: Clock) -> tuple[InLog, io.StringIO]:
    stream = io.StringIO()
    return InLog(Console(file=stream, width=80), clock), stream


def test_a_log_tells_each_note_once(log: tuple[InLog, io.StringIO]) -> None:
    tell, stream = log
    for _ in range(3):
        tell("train", 1, 2, "epoch 1/2: loss [0.5]")
    tell("qat", 1, 2, "epoch 1/2: loss [0.5]")
    assert stream.getvalue() == "train: epoch 1/2: loss [0.5]\nqat: epoch 1/2: loss [0.5]\n"


def test_a_task_without_notes_is_told_with_the_time_that_is_left(log: tuple[InLog, io.StringIO], clock: Clock) -> None:
    tell, stream = log
    tell("search", 0, 100)
    for done, seconds in ((5, 10), (10, 20), (12, 30), (50, 36), (100, 60)):
        clock.now = 100.0 + seconds
        tell("search", done, 100)
    # After 20 s 10 of 100 are done, so 180 s are left; 16 s later half is done, after 36 s of work.
    assert stream.getvalue() == "search: 10 of 100, about 3 min left\nsearch: 50 of 100, about 36 s left\n"


def test_the_time_of_a_resumed_task_counts_from_where_it_resumed(log: tuple[InLog, io.StringIO], clock: Clock) -> None:
    tell, stream = log
    tell("steal", 80, 100)
    clock.now += 20
    tell("steal", 90, 100)
    assert stream.getvalue() == "steal: 90 of 100, about 20 s left\n"


def test_a_task_that_begins_again_counts_anew(log: tuple[InLog, io.StringIO], clock: Clock) -> None:
    tell, stream = log
    tell("search", 0, 10)
    clock.now += 100
    tell("search", 10, 10)
    tell("search", 0, 10)
    clock.now += 20
    tell("search", 5, 10)
    assert stream.getvalue() == "search: 5 of 10, about 20 s left\n"


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_terminal_shows_each_task_in_one_line(width: int) -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=True, color_system=None, legacy_windows=False)
    shown = bars(console)
    tell = OnTerminal(shown)
    tell("train", 3, 3, "epoch 3/3: loss 0.1, accuracy 99.5 %, validation 97.9 %, and so on until no line has room")
    tell("a task whose name is longer than its column", 1, 4)
    with console.capture() as captured:
        console.print(shown.make_tasks_table(shown.tasks))
    lines = captured.get().splitlines()
    assert len(lines) == 2
    assert all(len(line) <= width for line in lines)
    assert lines[0].startswith("train")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1 s"), (59, "59 s"), (60, "1 min"), (3599, "1 h"), (3600, "1 h"), (9000, "2 h 30 min"), (86_400 * 3, "3 d")],
)
def test_a_duration_is_written_as_people_say_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text
