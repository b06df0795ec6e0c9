"""Times that are taken in turns."""

import time

import pytest

from edgerift.harden import _timing as timing
from edgerift.harden._timing import in_turns, median_ratio


@pytest.mark.parametrize("count", [1, 5, 25])
def test_works_take_turns_and_the_first_calls_are_not_counted(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that a call moves on by as many seconds as calls were made, the times tell which were counted."""
    now, calls = [0.0], list[tuple[str, int]]()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

    def work(name: str):
        def run(place: int) -> None:
            calls.append((name, place))
            now[0] += len(calls)

        return run

    found = in_turns({"first": work("first"), "second": work("second")}, count)
    warm = min(timing._WARM, count)
    places = [*range(warm), *range(count)]
    assert calls == [(name, place) for place in places for name in ("first", "second")]
    assert found["first"] == pytest.approx([1000.0 * (2 * turn + 1) for turn in range(warm, warm + count)])
    assert found["second"] == pytest.approx([1000.0 * (2 * turn + 2) for turn in range(warm, warm + count)])
    assert time is timing.time


def test_a_slow_moment_of_the_machine_is_no_slowdown() -> None:
    base = [1.0, 1.0, 30.0, 1.0, 1.0]
    assert median_ratio([2 * each for each in base], base) == 2.0
