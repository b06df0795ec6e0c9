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
    ways = (("first", "second"), ("second", "first"))
    assert calls == [(name, place) for place in places for name in ways[place % 2]]
    counted = [(number, name) for number, (name, _) in enumerate(calls, 1) if number > 2 * warm]
    for name, times in found.items():
        assert times == pytest.approx([1000.0 * number for number, called in counted if called == name])
    assert time is timing.time


def test_who_comes_first_has_no_disadvantage() -> None:
    """The first of a turn takes a half longer, whoever it is."""
    one, other = [1.5, 1.0] * 10, [1.0, 1.5] * 10
    assert median_ratio(one, other) == median_ratio(other, one) == 1.0
    assert median_ratio([3.0], [2.0]) == 1.5


def test_a_slow_moment_of_the_machine_is_no_slowdown() -> None:
    base = [1.0, 1.0, 30.0, 1.0, 1.0]
    assert median_ratio([2 * each for each in base], base) == 2.0
