"""The strongest setting that a budget allows."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgerift.errors import InputError
from edgerift.measure import strongest


def search(cost, **options):
    tried = []

    def counted(strength):
        tried.append(strength)
        return cost(strength)

    found = strongest(counted, **{"low": 0.0, "high": 8.0, "budget": 1.0, "steps": 6, **options})
    return found, tried


def test_a_smooth_cost_is_bracketed_by_halves():
    found, tried = search(lambda strength: strength / 3, steps=4)
    assert tried == [0.0, 8.0, 4.0, 2.0, 3.0, 3.5]
    assert found == 3.0


def test_a_geometric_search_halves_the_ratio():
    found, tried = search(lambda strength: strength / 3, low=1.0, high=16.0, steps=3, geometric=True)
    assert tried == pytest.approx([1.0, 16.0, 4.0, 2.0, 8**0.5])
    assert found == pytest.approx(8**0.5)


def test_a_cost_that_is_enough_ends_the_search():
    assert search(lambda strength: strength / 3, enough=0.6)[1] == [0.0, 8.0, 4.0, 2.0]
    # Enough is asked of what is within the budget alone.
    assert search(lambda strength: strength / 3, enough=0.9)[1] == [0.0, 8.0, 4.0, 2.0, 3.0]


@given(st.floats(0.001, 7.999), st.integers(0, 20))
def test_a_jump_is_approached_from_below(jump, steps):
    found, tried = search(lambda strength: 0.0 if strength <= jump else 5.0, steps=steps)
    assert found <= jump <= found + 8 / 2**steps
    assert len(tried) == steps + 2


@given(st.dictionaries(st.integers(0, 64), st.floats(0, 2), max_size=65), st.integers(0, 8))
def test_whatever_the_cost_the_found_one_was_tried_and_kept_the_budget(costs, steps):
    def cost(strength):
        return costs.get(int(8 * strength), 0.5)

    found, tried = search(cost, steps=steps)
    kept = [strength for strength in tried if cost(strength) <= 1.0]
    assert found == (max(kept) if kept else None)


def test_the_whole_bracket_may_be_allowed():
    assert search(lambda strength: 1.0) == (8.0, [0.0, 8.0])


def test_nothing_may_be_allowed():
    assert search(lambda strength: 1.0001) == (None, [0.0])


def test_a_cost_that_is_no_number_keeps_no_budget():
    assert search(lambda strength: math.nan) == (None, [0.0])
    found, _ = search(lambda strength: math.nan if strength > 2 else 0.0)
    assert found == 2.0


def test_without_steps_only_the_ends_are_tried():
    assert search(lambda strength: strength, steps=0) == (0.0, [0.0, 8.0])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"low": 8.0}, "needed: finite low < high, steps >= 0"),
        ({"low": 9.0}, "from 9.0 to 8.0"),
        ({"low": math.nan}, "from nan to 8.0"),
        ({"high": math.inf}, "from 0.0 to inf"),
        ({"low": -math.inf}, "from -inf to 8.0"),
        ({"steps": -1}, "in -1 steps"),
        ({"geometric": True}, "needed: finite 0 < low < high"),
    ],
)
def test_a_bracket_that_is_none_is_refused_before_anything_is_tried(options, text):
    with pytest.raises(InputError, match=text):
        search(lambda strength: pytest.fail("tried"), **options)
