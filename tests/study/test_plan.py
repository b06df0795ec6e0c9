"""A study at one moment: what is there, what waits, runs, failed, and how long the rest may take."""

import shutil
import threading
import time
from dataclasses import replace

import pytest
from recorded_work import Work, record
from tiny_steps import Tiny

from edgerift.errors import StoreError
from edgerift.run import Records, Watch, key_of, likeness
from edgerift.steps import Store
from edgerift.study import Cell, Plan, Study, make_cells, make_plan

FIRST, SECOND = Tiny(name="first"), Tiny(name="second")
BOTH = Tiny(name="both", starts=(FIRST, SECOND))
TOP, BESIDE = Tiny(name="top", starts=(BOTH,)), Tiny(name="beside", starts=(SECOND,))


def cells(*recipes) -> tuple[Cell, ...]:
    return tuple(Cell(f"data {number}", "net", 0, "ptq", recipe) for number, recipe in enumerate(recipes))


def plan_of(store, *recipes) -> Plan:
    return make_plan("tiny", "small", cells(*recipes), store)


def states(plan: Plan) -> dict[str, str]:
    names = {key_of(step): step.name for step in (FIRST, SECOND, BOTH, TOP, BESIDE)}
    return {names[step.key]: step.state for step in plan.missing}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def records(store):
    return Records(store)


def remember(records, step, **fields):
    records.write(record(key=key_of(step), step=step.type, likeness=likeness(step), **fields))


def test_before_anything_ran(store):
    plan = plan_of(store, TOP, BESIDE)
    assert (plan.study, plan.profile, plan.cells, plan.finished_cells) == ("tiny", "small", 2, 0)
    assert states(plan) == {
        "top": "waiting",
        "both": "waiting",
        "first": "ready",
        "second": "ready",
        "beside": "waiting",
    }
    assert (plan.finished, plan.seconds, plan.unknown, plan.grows, plan.is_finished) == ((), 0.0, 5, False, False)
    assert not store.root.exists()


def edges(plan: Plan, kind: str) -> dict[str, set[str]]:
    names = {key_of(step): step.name for step in (FIRST, SECOND, BOTH, TOP, BESIDE)}
    steps = (*plan.finished, *plan.missing)
    return {names[step.key]: {names[key] for key in getattr(step, kind)} for step in steps}


def test_every_step_knows_what_it_needs_and_what_of_it_it_waits_for(store):
    needs = {"top": {"both"}, "both": {"first", "second"}, "first": set(), "second": set(), "beside": {"second"}}
    plan = plan_of(store, TOP, BESIDE)
    assert edges(plan, "needs") == edges(plan, "waits_for") == needs
    store.get(SECOND)
    plan = plan_of(store, TOP, BESIDE)
    assert edges(plan, "needs") == needs
    assert edges(plan, "waits_for") == {**needs, "both": {"first"}, "beside": set()}
    assert [step.state for step in plan.finished] == ["finished"]
    # Both were built by then, and the first is not needed for what is there.
    store.get(BOTH)
    assert edges(plan_of(store, TOP, BESIDE), "needs") == needs


def test_steps_stand_behind_all_that_they_need(store):
    for built in ([], [SECOND], [BOTH]):
        for step in built:
            store.get(step)
        plan = plan_of(store, TOP, BESIDE)
        for steps in (plan.finished, plan.missing):
            order = [step.key for step in steps]
            assert all(order.index(key) < order.index(step.key) for step in steps for key in step.needs if key in order)


def test_finished_steps_tell_how_long_they_took(store, records):
    store.get(BOTH)
    remember(records, FIRST, seconds=7.0)
    remember(records, SECOND, state="failed", error="before it was finished")
    found = {step.key: (step.seconds, step.spent) for step in plan_of(store, TOP).finished}
    assert found == {key_of(FIRST): (7.0, 7.0), key_of(SECOND): (None, 0.0), key_of(BOTH): (None, 0.0)}


def test_what_is_gone_below_a_finished_step_is_not_needed(store):
    folder = store.get(BOTH)
    shutil.rmtree(store.get(FIRST))
    (store.get(SECOND) / "recipe.json").write_text("{}")
    plan = plan_of(store, TOP)
    assert [step.key for step in plan.finished] == [key_of(BOTH)]
    assert states(plan) == {"top": "ready"}
    assert folder.is_dir()


def test_what_is_finished_is_counted_and_what_is_below_it(store):
    store.get(BOTH)
    plan = plan_of(store, TOP, BESIDE)
    assert states(plan) == {"top": "ready", "beside": "ready"}
    assert {step.key for step in plan.finished} == {key_of(step) for step in (FIRST, SECOND, BOTH)}
    assert plan.finished_cells == 0
    store.get(TOP)
    assert plan_of(store, TOP, BESIDE).finished_cells == 1
    store.get(BESIDE)
    plan = plan_of(store, TOP, BESIDE, TOP)
    assert plan.is_finished
    assert (plan.cells, plan.finished_cells, plan.missing, plan.seconds, plan.unknown) == (3, 3, (), 0.0, 0)
    assert len(plan.finished) == 5


def test_what_failed_blocks_what_needs_it(store, records):
    remember(records, SECOND, state="failed", error="it broke", seconds=9.0)
    plan = plan_of(store, TOP, BESIDE)
    assert states(plan) == {
        "top": "blocked",
        "both": "blocked",
        "first": "ready",
        "second": "failed",
        "beside": "blocked",
    }
    (failed,) = (step for step in plan.missing if step.state == "failed")
    assert (failed.error, failed.log, failed.spent) == ("it broke", str(records.log(key_of(SECOND))), 0.0)
    assert {step.blocked_by for step in plan.missing if step.state == "blocked"} == {key_of(SECOND)}
    assert all(step.error is None and step.log is None for step in plan.missing if step.state != "failed")


def test_what_failed_and_was_finished_by_another_run_is_finished(store, records):
    store.get(SECOND)
    remember(records, SECOND, state="failed", error="it broke")
    remember(records, BOTH, state="failed", error="it broke too")
    store.get(FIRST)
    assert states(plan_of(store, TOP)) == {"top": "blocked", "both": "failed"}
    Watch(BOTH, records)
    assert states(plan_of(store, TOP)) == {"top": "waiting", "both": "ready"}


def test_what_runs_tells_where_and_how_far(store, records, monkeypatch):
    goal = Tiny(name="goal", starts=(Work(),))
    store.root.mkdir()
    (store.root / "wait").touch()

    def run():
        watch = Watch(Work(), records)
        monkeypatch.setattr(watch, "_written", time.perf_counter() - 10)
        store.get(Work(), watch)
        watch.finish()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until and getattr(records.read(key_of(Work())), "done", 0) == 0:
            time.sleep(0.01)
        plan = plan_of(store, goal)
        step = next(step for step in plan.missing if step.step == "work")
        told = records.read(key_of(Work()))
        assert (step.state, step.task, step.done, step.total) == ("running", "work", 1, 2)
        assert step.where == f"{told.host}, process {told.process}"
        assert told.seconds <= step.spent < told.seconds + 60
        assert [other.state for other in plan.missing if other.step != "work"] == ["waiting"]
    finally:
        (store.root / "wait").unlink()
        thread.join()
    assert [(step.step, step.state) for step in plan_of(store, goal).missing] == [("tiny", "ready")]


def test_what_was_killed_is_ready_with_what_it_took(store, records):
    remember(records, FIRST, state="running", seconds=40.0)
    remember(records, SECOND, seconds=100.0)
    plan = plan_of(store, FIRST)
    (step,) = plan.missing
    assert (step.state, step.spent, step.seconds, step.task, step.where) == ("ready", 40.0, 100.0, "", "")
    assert plan.seconds == 60.0


def test_the_estimate_is_what_is_left_of_what_is_known(store, records):
    remember(records, FIRST.replace(name="a seed apart"), seconds=10.0)
    plan = plan_of(store, TOP, Work())
    assert [step.seconds for step in plan.missing if step.step == "tiny"] == [10.0] * 4
    assert [step.seconds for step in plan.missing if step.step == "work"] == [None]
    assert (plan.seconds, plan.unknown) == (40.0, 1)
    # A step that took longer than it should takes nothing off the others.
    remember(records, FIRST, state="running", seconds=25.0)
    assert plan_of(store, TOP, Work()).seconds == 30.0


def test_a_damaged_result_is_a_step_that_will_fail(store):
    folder = store.get(BOTH)
    (folder / "recipe.json").write_text("{}")
    plan = plan_of(store, TOP, BESIDE)
    assert states(plan) == {"top": "waiting", "both": "ready", "beside": "ready"}
    assert plan.finished_cells == 0


def test_a_mirror_that_cannot_be_reached_is_told(store, monkeypatch):
    def refuse():
        raise StoreError("the mirror cannot be reached")

    monkeypatch.setattr(store, "refresh", refuse)
    with pytest.raises(StoreError, match="cannot be reached"):
        plan_of(store, TOP)


STUDY = {
    "study": "tiny",
    "title": "Tiny",
    "seeds": [0],
    "size": 12,
    "data": ["digits"],
    "originals": {"LeNet": {"model": "lenet"}},
}
EVASION = {"attacks": {"pgd": {"preset": "pgd"}}, "shown": "pgd"}


@pytest.mark.parametrize(
    ("threat", "grows"),
    [
        ({"evasion": EVASION}, False),
        ({"evasion": {**EVASION, "shard": 3}}, True),
        ({"theft": {"rows": ["ptq"]}}, False),
        ({"theft": {"rows": ["divqat"]}}, True),
        ({"theft": {"rows": ["rs"]}}, True),
    ],
)
def test_a_plan_tells_whether_it_will_grow(store, threat, grows):
    made = make_cells(Study.model_validate({**STUDY, **threat}))
    plan = make_plan("tiny", "small", made, store)
    assert plan.grows is grows
    assert plan.cells == len(made) == len({key_of(cell.recipe) for cell in made})
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


GRID = {**STUDY, "seeds": [0, 1], "originals": {"LeNet": {"model": "lenet"}, "ResNet": {"model": "resnet8"}}}


def named(study: dict) -> dict[str, int]:
    made = make_cells(Study.model_validate(study))
    steps = make_plan("tiny", "small", made, Store("nowhere")).missing
    names = {step.name: step.cells for step in steps}
    assert len(names) == len(steps)
    return names


def test_steps_are_called_by_what_their_cells_have_in_common():
    names = named({**GRID, "evasion": EVASION})
    for original in ("LeNet", "ResNet"):
        for seed in (0, 1):
            at = f"digits, {original}"
            expected = {
                f"train: {at}, seed {seed}": 3,
                f"adapt: {at}, PTQ for mobile, seed {seed}": 1,
                # The float control is steered by the program, as the adapted model is.
                f"finetune: {at}, float control, seed {seed}": 1,
                f"select: {at}, PTQ for mobile, seed {seed}": 1,
                f"build: {at}, QAT for mobile on executorch, seed {seed}": 1,
                f"evade: {at}, pgd on float control, seed {seed}": 1,
                f"evade: {at}, pgd on QAT for mobile, seed {seed}": 1,
                f"pair: {at}, QAT for mobile, seed {seed}": 1,
                f"pair: {at}, float control, seed {seed}": 1,
            }
            assert expected.items() <= names.items()
    assert len(names) == 4 * (1 + 2 + 1 + 2 + 3 + 3 + 3)


def test_two_names_of_one_source_stand_in_the_names_of_steps_that_they_share():
    names = named({**STUDY, "data": {"digits": {}, "again": {"source": "digits"}}, "evasion": EVASION})
    assert names["train: digits and again, LeNet, seed 0"] == 6
    assert names["pair: digits and again, LeNet, PTQ for mobile, seed 0"] == 2
    many = {"digits": {}} | {f"set {number}": {"source": "digits"} for number in range(3)}
    assert named({**STUDY, "data": many, "evasion": EVASION})["train: LeNet, seed 0"] == 12


def test_rows_thieves_and_searches_are_told_apart():
    rows = ["large", "ptq", "qat", "rs", "divqat", "divqat+rs", "held", "nasty", "float", "smoothing"]
    free = {"attacks": {"dfme": {}}, "rows": ["large", "qat"], "epsilons": [0.5]}
    theft = {"rows": rows, "targets": ["mobile", "server"], "students": ["lenet"], "alphas": [0.25], "data_free": free}
    names = named({**STUDY, "theft": theft})
    assert not any("(" in name for name in names)
    at, on = "digits, LeNet", "for mobile on executorch"
    assert {
        f"train: {at}, seed 0": 3,
        f"adapt: {at}, QAT for mobile, seed 0": 2,
        f"adapt: {at}, QAT of training seed 1 for mobile, seed 0": 1,
        f"adapt: {at}, QAT for server, seed 0": 1,
        f"attempt: {at}, divqat 0.25 for mobile, seed 0": 1,
        f"tuned: {at}, strongest divqat within l1 0.6 for mobile, seed 0": 1,
        f"tuned: {at}, strongest divqat within l1 0.3 for mobile, seed 0": 1,
        f"tuned: {at}, strongest held within l1 0.6 for mobile, seed 0": 1,
        f"tuned: {at}, strongest nasty within l1 0.6 for mobile, seed 0": 1,
        f"tuned: {at}, strongest float within l1 0.6 for mobile, seed 0": 1,
        f"tuned: {at}, strongest smoothing within l1 0.6 for mobile, seed 0": 1,
        f"tuned-answers: {at}, strongest reverse-sigmoid before QAT {on}, seed 0": 1,
        f"extract: {at}, float original by resnet18 from hard labels, seed 0": 1,
        f"extract: {at}, QAT {on} by lenet from soft labels, seed 0": 1,
        f"data-free: {at}, float original by dfme with epsilon 0.001 with float pixels, seed 0": 1,
        f"data-free: {at}, QAT {on} by dfme with epsilon 0.5 with whole pixels, seed 0": 1,
        f"data-free: {at}, QAT {on} by dfme with epsilon 0.001 without rounding, seed 0": 1,
        f"harden: {at}, mobile, seed 0": 1,
        f"harden: {at}, server, seed 0": 1,
        f"data-free-harden: {at}, data-free dfme, seed 0": 1,
    }.items() <= names.items()


def test_steps_that_have_all_in_common_are_told_apart_by_their_digests(store):
    plan = make_plan("tiny", "small", tuple(Cell("data", "net", 0, "ptq", step) for step in (FIRST, SECOND)), store)
    assert {step.name for step in plan.missing} == {
        f"tiny: data, net, seed 0 ({step.digest()[:8]})" for step in (FIRST, SECOND)
    }


def test_a_plan_of_a_finished_study_takes_no_time():
    """Of 240 cells and all that is below them: hashing is what takes time."""
    study = Study.model_validate({**STUDY, "seeds": list(range(60)), "evasion": EVASION, "theft": {"rows": ["ptq"]}})
    made = make_cells(study)
    assert len(made) == 240
    shelf = Everything()
    began = time.process_time()
    plan = make_plan("tiny", "small", tuple(made), shelf)
    assert time.process_time() - began < 5
    assert plan.finished_cells == 240
    assert len(plan.finished) == 60 * 21


class Everything(Store):
    """A store that has everything."""

    def __init__(self):
        super().__init__("nowhere")

    def has(self, recipe):
        return bool(recipe.digest())


def test_cells_of_one_recipe_are_one_step(store):
    first = cells(TOP)[0]
    plan = make_plan("tiny", "small", (first, replace(first, data="again")), store)
    assert plan.cells == 2
    assert len(plan.missing) == 4
