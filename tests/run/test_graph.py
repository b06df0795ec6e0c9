"""The graph of unfinished steps, against the plainest way to say the same, on random graphs."""

import time
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgerift.errors import InputError, StoreError
from edgerift.run import Graph, key_of
from edgerift.steps import Recipe, Store


class Step(Recipe):
    """A step by its number; what it needs is written beside it, in a list that the test holds."""

    type: Literal["numbered"] = "numbered"
    version: Literal[1] = 1
    number: int

    def needs(self, store):
        return store.named_by(self.number)

    def produce(self, folder: Path, store, progress):
        raise AssertionError


class Shelf:
    """What a graph asks of a store: which steps are finished. `later` is what a step names once `below` is there."""

    def __init__(self, below, later=None, finished=(), damaged=(), mute=()):
        self.below, self.later = below, later or {}
        self.finished, self.damaged, self.mute = set(finished), set(damaged), set(mute)
        self.asked = 0

    def has(self, recipe):
        self.asked += 1
        if recipe.number in self.damaged:
            raise StoreError("damaged")
        return recipe.number in self.finished

    def named_by(self, number):
        if number in self.mute:
            raise InputError("cannot tell")
        named = set(self.below[number])
        if named <= self.finished:
            named |= set(self.later.get(number, ()))
        # Always new objects, as a recipe makes them.
        return tuple(Step(number=step) for step in sorted(named))


def numbers(keys):
    return {BY_KEY[key] for key in keys}


BY_KEY = {key_of(Step(number=number)): number for number in range(40)}


@st.composite
def shelves(draw):
    """A random graph of up to 12 steps: each needs some of those before it, and some only later."""
    count = draw(st.integers(1, 12))
    lower = [draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set() for number in range(count)]
    later = {
        number: draw(st.sets(st.integers(0, number - 1), max_size=3))
        for number in draw(st.sets(st.integers(1, count), max_size=4))
        if number < count
    }
    finished = draw(st.sets(st.integers(0, count - 1), max_size=count))
    goals = draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=4))
    return Shelf(lower, later, finished), goals


def reached(shelf, goals):
    """The unfinished steps below the goals, as far as what is finished tells."""
    found, open_steps = set(), [goal for goal in goals if goal not in shelf.finished]
    while open_steps:
        step = open_steps.pop()
        if step not in found:
            found.add(step)
            open_steps += [recipe.number for recipe in shelf.named_by(step) if recipe.number not in shelf.finished]
    return found


@given(shelves(), st.randoms())
@settings(deadline=None, max_examples=300)
def test_every_step_comes_once_and_after_all_that_it_needs(made, random):
    shelf, goals = made
    before = set(shelf.finished)
    graph = Graph([Step(number=goal) for goal in goals], shelf)
    done = []
    while graph.missing:
        assert numbers(graph.missing) == reached(shelf, goals)
        for key in graph.missing:
            needed = {recipe.number for recipe in shelf.named_by(BY_KEY[key])}
            assert numbers(graph.waits_for(key)) == needed - shelf.finished
            above = {step for step in reached(shelf, goals) if BY_KEY[key] in {r.number for r in shelf.named_by(step)}}
            assert numbers(graph.needed_by(key)) == above
        ready = graph.ready()
        assert numbers(ready) == {step for step in numbers(graph.missing) if not graph.waits_for(BY_NUMBER[step])}
        assert ready
        assert graph.blocked() == {}
        key = random.choice(ready)
        shelf.finished.add(BY_KEY[key])
        done.append(BY_KEY[key])
        graph.finish(key)
    assert len(done) == len(set(done))
    assert before.isdisjoint(done)
    assert set(goals) <= shelf.finished
    for place, step in enumerate(done):
        assert shelf.below[step] <= before | set(done[:place])
        assert set(shelf.later.get(step, ())) <= before | set(done[:place])
    assert numbers(graph.finished) >= set(done) | (set(goals) & before)


BY_NUMBER = {number: key for key, number in BY_KEY.items()}


@given(shelves(), st.randoms())
@settings(deadline=None, max_examples=300)
def test_a_failure_keeps_exactly_those_from_running_that_need_it(made, random):
    shelf, goals = made
    graph = Graph([Step(number=goal) for goal in goals], shelf)
    failed = set()
    while ready := graph.ready():
        key = random.choice(ready)
        if random.random() < 0.3:
            graph.fail(key)
            failed.add(BY_KEY[key])
        else:
            shelf.finished.add(BY_KEY[key])
            graph.finish(key)
    assert numbers(graph.failed) == failed
    # All that can be reached from what is left is blocked, and by a failed step below it.
    blocked = graph.blocked()
    assert numbers(graph.missing) == failed | numbers(blocked)
    assert failed.isdisjoint(numbers(blocked))
    for key, cause in blocked.items():
        assert BY_KEY[cause] in failed & reached(shelf, [BY_KEY[key]])


def chain(length):
    return Shelf([{number - 1} if number else set() for number in range(length)])


def test_long_chains_and_wide_fans_take_no_time():
    below = [{number - 1} if number else set() for number in range(2000)]
    fan = [*({0} if number else set() for number in range(1999)), set(range(1999))]
    for shape in (below, fan):
        shelf = Shelf(shape)
        began = time.perf_counter()
        graph = Graph([Step(number=1999)], shelf)
        assert len(graph.missing) == 2000
        assert shelf.asked == 2000
        while ready := graph.ready():
            for key in ready:
                shelf.finished.add(graph.missing[key].number)
                graph.finish(key)
        assert not graph.missing
        assert time.perf_counter() - began < 5


def test_nothing_is_looked_for_below_what_is_finished():
    shelf = chain(10)
    shelf.finished = {6}
    graph = Graph([Step(number=9)], shelf)
    assert numbers(graph.missing) == {9, 8, 7}
    assert numbers(graph.finished) == {6}
    assert numbers(graph.ready()) == {7}


def test_steps_are_found_from_the_first_goal_on():
    shelf = Shelf([set(), set(), set(), {0, 1}, {1, 2}, {3}])
    graph = Graph([Step(number=5), Step(number=4)], shelf)
    assert [BY_KEY[key] for key in graph.ready()] == [0, 1, 2]


def test_a_step_that_grows_waits_again():
    shelf = Shelf([set(), set(), {0}], later={2: {1}})
    graph = Graph([Step(number=2)], shelf)
    assert numbers(graph.missing) == {0, 2}
    shelf.finished.add(0)
    graph.finish(BY_NUMBER[0])
    assert numbers(graph.ready()) == {1}
    assert numbers(graph.waits_for(BY_NUMBER[2])) == {1}
    graph.fail(BY_NUMBER[1])
    assert graph.blocked() == {BY_NUMBER[2]: BY_NUMBER[1]}
    assert graph.ready() == []


def test_a_failed_step_that_is_finished_after_all_blocks_nothing():
    shelf = chain(3)
    graph = Graph([Step(number=2)], shelf)
    graph.fail(BY_NUMBER[0])
    assert numbers(graph.blocked()) == {1, 2}
    shelf.finished.add(0)
    graph.finish(BY_NUMBER[0])
    assert graph.failed == set()
    assert numbers(graph.ready()) == {1}


@pytest.mark.parametrize("trouble", ["mute", "damaged"])
def test_a_step_that_cannot_be_asked_fails_by_itself_when_it_runs(trouble):
    shelf = Shelf([set(), {0}, {1}, {0}], **{trouble: {1}})
    graph = Graph([Step(number=2), Step(number=3)], shelf)
    assert numbers(graph.ready()) == {0, 1}
    assert numbers(graph.missing) == {0, 1, 2, 3}
    graph.fail(BY_NUMBER[1])
    assert numbers(graph.blocked()) == {2}


def test_a_real_store_is_asked_for_real_results(tmp_path):
    class Real(Step):
        type: Literal["real-step"] = "real-step"
        below: tuple[Recipe, ...] = ()

        def needs(self, store):
            return self.inputs()

        def produce(self, folder, store, progress):
            (folder / "text").write_text("x")

    store = Store(tmp_path)
    first = Real(number=0)
    second, third = Real(number=1, below=(first,)), Real(number=2, below=(first,))
    last = Real(number=3, below=(second, third, first))
    graph = Graph([last], store)
    assert set(graph.missing) == set(map(key_of, (first, second, third, last)))
    store.get(second)
    store.get(first)
    graph = Graph([last], store)
    assert set(graph.missing) == set(map(key_of, (third, last)))
    assert set(graph.finished) == set(map(key_of, (first, second)))
