"""The scheduler: what runs, when, how often, and what a failure or a death means for the rest."""

import errno
import os
import time

import pytest
import tiny_steps
import torch
from tiny_steps import Failing, Growing, Other, Tiny, Unsure, results, said

from edgerift.errors import RecipeError, StoreError
from edgerift.run import Here, Outcome, Place, Records, Watch, key_of, run_step, run_steps
from edgerift.run import _running as running
from edgerift.steps import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def place(store):
    return Place(store=store.root)


class Acted:
    """Workers that act: they build at once, but tell of it as a test says, and note what runs beside what."""

    def __init__(self, place, capacity=2, script=None):
        self.capacity = capacity
        self.place, self.script = place, script or {}
        self.running, self.started, self.beside, self.closed = [], [], [], 0

    def start(self, key, recipe):
        self.running.append((key, recipe))
        self.started.append(recipe.name)
        self.beside.append(tuple(recipe.name for _, recipe in self.running))
        assert len(self.running) <= self.capacity

    def collect(self):
        key, recipe = self.running.pop(0)
        told = self.script.get(recipe.name, [])
        return {key: told.pop(0) if told else run_step(recipe, self.place)}

    def close(self):
        self.closed += 1


def died(how="its worker was killed by SIGKILL"):
    return Outcome(seconds=0.0, error=how, again=True)


def test_a_step_leaves_no_source_of_the_graphs_that_it_made(store, place, monkeypatch):
    """PyTorch keeps that of every traced module: thousands of steps of one process would fill its memory."""

    def trace(self, folder, store, progress):
        made.append(torch.fx.symbolic_trace(torch.nn.Sequential(torch.nn.ReLU())))
        assert set(sources) > before

    made = []
    monkeypatch.setattr(Tiny, "produce", trace)
    sources = torch.fx.graph_module._loader.eval_cache
    before = set(sources)
    assert run_steps([Tiny(name=name) for name in "abc"], store, Here(place)).failed == ()
    assert set(sources) == before
    assert [module(torch.tensor(-1.0)).item() for module in made] == [0.0] * 3


def test_what_is_needed_comes_first_and_once(store, place):
    shared = Tiny(name="shared")
    left, right = (Tiny(name=name, starts=(shared,)) for name in ("left", "right"))
    top = Tiny(name="top", starts=(left, right))
    summary = run_steps([top, left, Tiny(name="alone")], store, Here(place))
    assert (summary.built, summary.failed, summary.deaths) == (5, (), 0)
    began = said(store.root, "began")
    assert sorted(began) == ["alone", "left", "right", "shared", "top"]
    assert began.index("shared") < min(began.index("left"), began.index("right"))
    assert began.index("top") > max(began.index("left"), began.index("right"))
    before = results(store.root)
    again = run_steps([top, left], store, Here(place))
    assert again.built == 0
    assert said(store.root, "began") == began
    assert results(store.root) == before


def test_a_failed_step_blocks_those_above_it_and_no_others(store, place):
    base = Tiny(name="base")
    wrong = Failing(starts=(base,))
    above = Tiny(name="above", starts=(wrong, Tiny(name="beside")))
    top = Tiny(name="top", starts=(above,))
    other = Tiny(name="other", starts=(base,))
    told = []
    summary = run_steps([top, other], store, Here(place), lambda *report: told.append(report))
    assert sorted(said(store.root, "began")) == ["base", "beside", "failing", "other"]
    assert summary.built == 3
    (failed,) = summary.failed
    assert failed.key == key_of(wrong)
    assert failed.error == "ValueError: this step fails"
    assert set(failed.blocks) == {key_of(above), key_of(top)}
    log = Records(store).log(failed.key).read_text()
    assert failed.log == str(Records(store).log(failed.key))
    assert log.startswith("said in Python\n")
    assert "with a second line" in log
    assert Records(store).read(failed.key).error == failed.error
    assert [report[3] for report in told if report[3]] == [f"{failed.key}: {failed.error}"]
    assert told[0] == ("study", 0, 6, "")
    assert told[-1][:3] == ("study", 3, 6)


def test_a_later_run_tries_what_failed_again(store, place, monkeypatch):
    wrong = Failing()
    assert run_steps([wrong], store, Here(place)).failed
    monkeypatch.setattr(Failing, "produce", lambda self, folder, store, progress: None)
    again = run_steps([wrong], store, Here(place))
    assert (again.built, again.failed) == (1, ())
    assert Records(store).read(key_of(wrong)).state == "finished"


@pytest.mark.parametrize(
    ("how", "error"),
    [("error", "ValueError: this step fails"), ("store", "the step's own store error"), ("exit", "SystemExit: 3")],
)
def test_whatever_a_step_raises_is_its_own_failure(store, place, how, error):
    summary = run_steps([Failing(how=how), Tiny(name="other")], store, Here(place))
    assert summary.built == 1
    assert [failed.error for failed in summary.failed] == [error]


def test_a_graph_grows_when_a_result_tells_more(store, place):
    first = Tiny(name="abc")
    growing = Growing(first=first)
    top = Tiny(name="top", starts=(growing,))
    workers = Acted(place, capacity=8)
    summary = run_steps([top], store, workers)
    grown = [f"growing-{number}" for number in range(4)]
    assert workers.started == ["abc", *grown, "growing", "top"]
    assert workers.beside[1:5] == [tuple(grown[: number + 1]) for number in range(4)]
    assert summary.built == 7


def test_a_step_that_cannot_tell_what_it_needs_fails_alone(store, place):
    wrong = Unsure(starts=(Tiny(name="base"),))
    summary = run_steps([Tiny(name="top", starts=(wrong,)), Tiny(name="other")], store, Here(place))
    assert [(failed.key, failed.error) for failed in summary.failed] == [
        (key_of(wrong), "this step does not know what it needs")
    ]
    assert said(store.root, "began") == ["other"]


def test_a_damaged_result_fails_alone(store, place):
    base = Tiny(name="base")
    (store.get(base) / "recipe.json").write_text("{}")
    summary = run_steps([Tiny(name="top", starts=(base,)), Tiny(name="other")], store, Here(place))
    (failed,) = summary.failed
    assert failed.key == key_of(base)
    assert "delete" in failed.error
    assert said(store.root, "began") == ["base", "other"]


def remember(store, recipe, seconds):
    """Leave the record of an earlier run."""
    records = Records(store)
    Watch(recipe, records).finish()
    records.write(records.read(key_of(recipe)).replace(seconds=seconds))


def chain(*names):
    steps = []
    for name in names:
        steps.append(Tiny(name=name, starts=tuple(steps[-1:])))
    return steps


@pytest.mark.parametrize(
    ("known", "goals", "order"),
    [
        # The longest first.
        ({"a": 1.0, "b": 9.0, "c": 5.0}, ["a", "b", "c"], "bca"),
        # Not the longest, but the one that the longest chain waits for.
        ({"a": 5.0, "b": 1.0, "c": 3.0, "d": 3.0}, ["a", "bcd"], "bcad"),
        # A long chain of short steps comes after one long step.
        ({"a": 8.0, "b": 1.0, "c": 3.0, "d": 3.0}, ["bcd", "a"], "abcd"),
        # Nothing is known: the longest chain.
        ({}, ["a", "bc", "def"], "dbeacf"),
    ],
)
def test_the_longest_way_to_the_end_comes_first(store, place, known, goals, order):
    chains = [chain(*names) for names in goals]
    for step in (step for steps in chains for step in steps if step.name in known):
        remember(store, step, known[step.name])
    run_steps([steps[-1] for steps in chains], store, Here(place))
    assert "".join(said(store.root, "began")) == order


def test_the_order_learns_from_the_steps_that_ended(store, place):
    steps = [Tiny(name="t1"), Other(name="o1", seconds=0.2), Tiny(name="t2"), Other(name="o2", seconds=0.2)]
    run_steps([*steps, Failing()], store, Here(place))
    # Of the failing one nothing is known, before and after: it takes as long as the middle one.
    assert said(store.root, "began") == ["t1", "o1", "o2", "failing", "t2"]


def test_a_step_that_nothing_is_known_of_takes_as_long_as_the_middle_one(store, place):
    for name, seconds in {"a": 1.0, "b": 2.0, "c": 9.0}.items():
        remember(store, Tiny(name=name), seconds)
    run_steps([Tiny(name="a"), Failing(), Tiny(name="c")], store, Here(place))
    assert said(store.root, "began") == ["c", "failing", "a"]


def test_a_step_whose_worker_died_is_tried_again_and_at_last_alone(store, place):
    victim, others = Tiny(name="victim"), [Tiny(name=f"other-{number}") for number in range(3)]
    workers = Acted(place, script={"victim": [died(), died()]})
    told = []
    summary = run_steps([victim, *others], store, workers, lambda *report: told.append(report[3]))
    assert (summary.built, summary.failed, summary.deaths) == (4, (), 2)
    assert workers.started.count("victim") == 3
    assert workers.started[-1] == "victim"
    assert workers.beside[-1] == ("victim",)
    note = f"{key_of(victim)}: its worker was killed by SIGKILL; retrying"
    assert [line for line in told if line] == [note, note]


def test_two_steps_that_are_tried_for_the_last_time_run_one_after_the_other(store, place):
    top = Tiny(name="top", starts=(Tiny(name="victim"), Tiny(name="other victim")))
    script = {"victim": [died(), died()], "other victim": [died(), died()]}
    workers = Acted(place, capacity=4, script=script)
    assert run_steps([top], store, workers).built == 3
    assert workers.beside[-3:] == [("victim",), ("other victim",), ("top",)]


def test_a_step_that_kills_three_workers_has_failed_and_no_other_is_blamed(store, place):
    deadly, bystander = Tiny(name="deadly"), Tiny(name="bystander")
    top = Tiny(name="top", starts=(deadly,))
    workers = Acted(place, script={"deadly": [died(), died(), died("its worker was killed by SIGSEGV")]})
    summary = run_steps([top, bystander], store, workers)
    (failed,) = summary.failed
    assert (failed.key, failed.blocks) == (key_of(deadly), (key_of(top),))
    assert failed.error == "its worker was killed by SIGSEGV, for the third time; does it have enough memory?"
    assert summary.built == 1
    assert workers.started.count("bystander") == 1
    record = Records(store).read(failed.key)
    assert (record.state, record.error) == ("failed", failed.error)
    assert failed.error in Records(store).log(failed.key).read_text()


def test_capacity_may_grow_and_shrink(store, place):
    class Breathing(Acted):
        def collect(self):
            found = super().collect()
            self.most.append(len(self.running) + 1)
            self.capacity = sizes.pop(0) if sizes else 2
            return found

    sizes = [4, 1, 1, 1, 3]
    workers = Breathing(place, capacity=2)
    workers.most = []
    # With a capacity of less than what runs, nothing may start; `Acted` checks it.
    summary = run_steps([Tiny(name=str(number)) for number in range(12)], store, workers)
    assert summary.built == 12
    assert max(workers.most) == 4


def test_what_was_built_elsewhere_is_noted_here(store, place, tmp_path):
    """A worker with a store of its own, and a mirror between both."""
    mirror = f"file://{tmp_path}/mirror"
    here = Store(store.root, mirror)
    far = Place(store=tmp_path / "far", mirror=mirror)
    growing = Growing(first=Tiny(name="abc"))
    wrong = Failing()
    workers = Acted(far)
    summary = run_steps([growing, wrong], here, workers)
    assert summary.built == 6
    assert [name for name in workers.started if name.startswith("growing-")] == [f"growing-{n}" for n in range(4)]
    assert here.has(growing)
    record = Records(here).read(key_of(growing))
    assert (record.state, record.seconds > 0) == ("finished", True)
    record = Records(here).read(key_of(wrong))
    assert (record.state, record.error) == ("failed", "ValueError: this step fails")
    assert "ValueError" in Records(here).log(key_of(wrong)).read_text()


def test_a_result_that_is_not_to_be_seen_here_ends_the_run(store, place, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "_PATIENCE", 0.0)
    monkeypatch.setattr(running, "_PAUSE", 0.01)
    workers = Acted(Place(store=tmp_path / "far"))
    with pytest.raises(StoreError, match="give a store that all machines share, or a mirror"):
        run_steps([Tiny(name="a")], store, workers)
    assert workers.closed == 1


def test_a_result_that_is_seen_late_is_waited_for(store, place, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "_PAUSE", 0.01)
    looks = []

    def late(self, recipe):
        looks.append(recipe)
        return len(looks) > 6 and has(self, recipe)

    has = Store.has
    monkeypatch.setattr(Store, "has", late)
    assert run_steps([Tiny(name="a")], store, Here(place)).built == 1
    assert len(looks) == 7


def test_a_mirror_that_cannot_be_reached_ends_the_run_before_it_begins(store, place, tmp_path):
    (tmp_path / "file").write_text("")
    workers = Acted(place)
    with pytest.raises(StoreError, match="mirror"):
        run_steps([Tiny(name="a")], Store(store.root, f"file://{tmp_path}/file/below"), workers)
    assert (workers.started, workers.closed) == ([], 1)


def test_a_full_disk_ends_the_run(store, place, monkeypatch):
    def full(self, folder, store, progress):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    whole, produce = [Tiny(name="before"), Failing(), Tiny(name="after")], Failing.produce
    monkeypatch.setattr(Failing, "produce", full)
    with pytest.raises(StoreError, match="the disk is full"):
        run_steps(whole, store, Here(place))
    assert said(store.root, "began") == ["before"]
    record = Records(store).read(key_of(Failing()))
    assert record.state == "failed"
    monkeypatch.setattr(Failing, "produce", produce)
    assert run_steps(whole, store, Here(place)).built == 1


def test_a_store_that_cannot_be_written_ends_the_run(store, place):
    store.root.mkdir()
    (store.root / ".runs").write_text("a file")
    with pytest.raises(StoreError, match="cannot"):
        run_steps([Tiny(name="a")], store, Here(place))


def test_ctrl_c_passes_and_the_next_run_goes_on(store, place, monkeypatch):
    workers = Acted(place)
    step, before = Failing(how="interrupt"), Tiny(name="before")
    with pytest.raises(KeyboardInterrupt):
        run_steps([before, step, Tiny(name="after")], store, workers)
    assert workers.closed == 1
    assert store.has(before)
    assert Records(store).read(key_of(step)).state == "running"
    monkeypatch.setattr(Failing, "produce", lambda self, folder, store, progress: None)
    assert run_steps([before, step], store, Here(place)).built == 1


def test_the_workers_are_closed_when_the_graph_cannot_be_made(store, place):
    workers = Acted(place)
    with pytest.raises(ZeroDivisionError):
        run_steps((Tiny(name=str(1 / number)) for number in (1, 0)), store, workers)
    assert workers.closed == 1


def test_a_step_leaves_its_process_as_it_was(store, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGERIFT_DATA", "elsewhere")
    recipe = tiny_steps.Surroundings()
    outcome = run_step(recipe, Place(store=store.root, data_root=tmp_path, threads=2))
    assert outcome.error is None
    found = tiny_steps.results(store.root)[f"{key_of(recipe)}/found.json"]
    assert found["variables"]["EDGERIFT_DATA"] == str(tmp_path)
    assert found["threads"] == 2
    assert (torch.get_num_threads(), os.environ["EDGERIFT_DATA"]) == (1, "elsewhere")


def test_the_seconds_are_those_of_the_steps(store, place):
    steps = [Tiny(name=name, seconds=0.2) for name in "abc"]
    began = time.perf_counter()
    summary = run_steps(steps, store, Here(place))
    whole = time.perf_counter() - began
    assert 0.6 <= summary.step_seconds <= summary.seconds <= whole


def test_threads_below_zero_are_refused(store):
    with pytest.raises(RecipeError, match="threads"):
        Place(store=store.root, threads=-1)
