"""A study whose file is changed: what depends on the change is built anew, and nothing else."""

import pytest

from edgerift.run import Here, Place, Records, run_steps
from edgerift.steps import Store
from edgerift.study import make_plan, open_study

FILE = """
study: changing
title: A study that is changed
seeds: [0]
size: 12
data: {digits: {}}
originals: {LeNet: {model: lenet}, Other: {model: lenet, train: {epochs: 2}}}
train: {epochs: 1, batch_size: 64}
adapt: {epochs: 1, batch_size: 64}
calibration_images: 64
evasion:
  adaptations: [ADAPTATION]
  target: server
  attacks:
    first: {preset: pgd, steps: 1}
    second: {preset: pgd, steps: 2}
  count: 4
  shown: first
  pictured: []
profiles:
  as_it_is: {}
  another_attack: {evasion: {attacks: {second: {steps: 3}}}}
  another_adaptation: {originals: {LeNet: {adapt: {learning_rate: 0.003}}}}
  another_training: {originals: {Other: {train: {epochs: 3}}}}
  another_title: {title: Another, evasion: {attacks: {second: {title: Second}}}}
"""

#: What is made of one original, by its adaptation. The float control needs no build, which is what takes time.
STEPS = {
    "finetune": (
        "train: {}",
        "finetune: {}, float control",
        "select: {}, float control",
        "evade: {}, first on float control",
        "evade: {}, second on float control",
        "pair: {}, float control",
    ),
    "qat": (
        "train: {}",
        "adapt: {}, QAT for server",
        "build: {}, QAT for server on onnxruntime",
        "select: {}, QAT for server",
        "evade: {}, first on QAT for server",
        "evade: {}, second on QAT for server",
        "pair: {}, QAT for server",
    ),
}


@pytest.fixture(scope="module", params=["finetune", pytest.param("qat", marks=pytest.mark.slow)])
def built(request, tmp_path_factory):
    """The study as it is, run to its end: its file, its store, and the steps of each original."""
    folder = tmp_path_factory.mktemp("changed")
    path = folder / "changing.yaml"
    path.write_text(FILE.replace("ADAPTATION", request.param))
    store = Store(folder / "store")
    steps = STEPS[request.param]
    plan, summary = run(path, "as_it_is", store)
    assert {step.name for step in plan.missing} == of("LeNet", steps) | of("Other", steps)
    assert (summary.built, summary.failed) == (2 * len(steps), ())
    return path, store, steps


def of(original, steps):
    """The names of an original's steps."""
    return {f"{step.format(f'digits, {original}')}, seed 0" for step in steps}


def run(path, profile, store):
    """The names of the steps that a plan finds missing, and what the run after it did."""
    cells = open_study(path, profile).cells()
    plan = make_plan("changing", profile, cells, store)
    place = Place(store=store.root, threads=1)
    return plan, run_steps([cell.recipe for cell in cells], store, Here(place))


def records(store):
    """Each record as it lies there: a step that runs again leaves another one."""
    return {path.stem: path.read_bytes() for path in Records(store).folder.glob("*.json")}


def searches_of_the_second_attack(steps):
    return of("LeNet", steps[-2:]) | of("Other", steps[-2:])


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("as_it_is", lambda _: set()),
        ("another_title", lambda _: set()),
        ("another_attack", searches_of_the_second_attack),
        ("another_adaptation", lambda steps: of("LeNet", steps[1:])),
        ("another_training", lambda steps: of("Other", steps)),
    ],
)
def test_what_depends_on_a_change_is_new_and_nothing_else_runs(built, profile, expected):
    path, store, steps = built
    new = expected(steps)
    before = records(store)
    plan, summary = run(path, profile, store)
    assert {step.name for step in plan.missing} == new
    assert len(plan.finished) + len(plan.missing) == 2 * len(steps)
    assert (summary.built, summary.failed) == (len(new), ())
    after = records(store)
    assert {key: after[key] for key in before} == before
    assert after.keys() - before.keys() == {step.key for step in plan.missing}
    # And the file as it was is still finished.
    assert make_plan("changing", "as_it_is", open_study(path, "as_it_is").cells(), store).is_finished
    again, summary = run(path, profile, store)
    assert (again.missing, summary.built) == ((), 0)
    assert records(store) == after
