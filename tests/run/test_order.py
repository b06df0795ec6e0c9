"""Which step comes first: the longest way to the end, against its definition, on random graphs."""

from pathlib import Path
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from edgerift.run import Record, likeness
from edgerift.run._order import Order
from edgerift.steps import Recipe


class Weighed(Recipe):
    """A step of which it is known how long it takes."""

    type: Literal["weighed"] = "weighed"
    version: Literal[1] = 1
    weight: int

    def produce(self, folder: Path, store, progress):
        raise AssertionError


class Drawn:
    """What the order asks of a graph: each step's recipe, and which steps wait for it."""

    def __init__(self, weights, above):
        self.missing = {name: Weighed(weight=weight) for name, weight in enumerate(weights)}
        self.above = above

    def needed_by(self, key):
        return self.above.get(key, set())


def record(weight):
    return Record(
        key=f"weighed-{weight}", step="weighed", likeness=likeness(Weighed(weight=weight)), state="finished",
        seconds=weight, host="here", process=1, beat=0.0,
    )  # fmt: skip


def order(weights, above):
    return Order(Drawn(weights, above), [record(weight) for weight in sorted(set(weights))])


@st.composite
def graphs(draw):
    weights = draw(st.lists(st.integers(0, 9), min_size=1, max_size=12))
    count = len(weights)
    pairs = draw(st.sets(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))))
    above = {}
    for one, two in pairs:
        if one != two:
            above.setdefault(min(one, two), set()).add(max(one, two))
    return weights, above


@given(graphs())
def test_the_longest_way_comes_first(drawn):
    weights, above = drawn

    def way(step):
        return weights[step] + max((way(one) for one in above.get(step, ())), default=0)

    steps = list(range(len(weights)))
    assert order(weights, above).first(steps) == sorted(steps, key=lambda step: -way(step))


def test_a_chain_of_thousands_of_steps():
    count = 5000
    # The first waits for nothing; beside the chain stands one step that takes a second less than all of it.
    weights = [1] * count + [count - 1, count + 1]
    above = {step: {step + 1} for step in range(count - 1)}
    assert order(weights, above).first([count, 0, count + 1]) == [count + 1, 0, count]


def test_shared_ways_are_walked_once():
    # Each of 40 levels has two steps that both steps of the next level wait for: 2 ** 40 ways.
    levels = 40
    above = {2 * level + side: {2 * level + 2, 2 * level + 3} for level in range(levels - 1) for side in (0, 1)}
    weights = [1, 2] * levels
    assert order(weights, above).first([0, 1]) == [1, 0]
