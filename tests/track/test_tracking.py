"""Finished cells as runs of MLflow, read back with its own client from a database that the test made."""

import dataclasses
import importlib.util
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Literal

import pytest
from made_hardening import made_search
from made_study import ATTACKED, made_comparison, made_pair

from edgerift.adapt import Divqat, TunedRecipe
from edgerift.errors import MissingRuntimeError, StoreError
from edgerift.images import ImagesSettings
from edgerift.run import Record, Records, key_of, likeness
from edgerift.settings import Settings
from edgerift.steps import Recipe, Store, silent
from edgerift.study import Study, make_cells
from edgerift.track import track
from edgerift.track._points import Point
from edgerift.track._tracked import CellLog, flat_settings
from edgerift.track._tracking import _Experiment, experiment_name, shown_uri

needs_mlflow = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("mlflow", "sqlalchemy", "alembic")),
    reason="the extra tracking is not installed",
)

OURS = "ours, ε=8"
ATTACKS = {
    "pgd": {"preset": "pgd", "change": {"stop": "never"}},
    "diva": {"preset": "diva-2022", "change": {"stop": "never"}},
    OURS: {"preset": "default"},
}
EPOCHS = (
    {"train_loss": 1.5, "train_accuracy": 0.5, "validation_loss": 1.25, "validation_accuracy": 0.625},
    {"train_loss": 0.75, "train_accuracy": None, "validation_loss": None, "validation_accuracy": 0.875},
)
PICTURE = b"\x89PNG of a history"
MADE = 1_700_000_000.25
SEARCH = made_search(1.0)

EVASION = Study.model_validate(
    {
        "study": "toy",
        "title": "A toy",
        "paper": "diva",
        "seeds": [0, 1],
        "size": 12,
        "data": {"digits": {}},
        "originals": {"ResNet": {"model": "resnet8"}},
        "train": {"epochs": 2},
        "evasion": {"adaptations": ["ptq", "qat"], "attacks": ATTACKS, "shown": "diva"},
    }
)
THEFT = Study.model_validate(
    {
        "study": "toys",
        "title": "A toy too",
        "seeds": [3],
        "size": 12,
        "data": {"digits": {"queries": "collages"}},
        "originals": {"ResNet": {"model": "resnet8"}},
        "theft": {
            "rows": ["ptq", "rs", "divqat", "divqat+rs"],
            "students": ["lenet"],
            "alphas": [0.5],
            "budget": 300,
        },
    }
)


def keep(store: Store, recipe: Recipe, **files: str | bytes) -> Path:
    """Put a result into the store as a step leaves it."""
    folder = store.root / key_of(recipe)
    folder.mkdir(parents=True)
    (folder / "recipe.json").write_text(recipe.canonical_json() + "\n")
    for name, content in files.items():
        path = folder / name.replace("_", ".")
        path.write_bytes(content) if isinstance(content, bytes) else path.write_text(content)
    return folder


def keep_history(store: Store, recipe: Recipe, shift: float = 0.0) -> None:
    epochs = [dict(epoch, train_loss=epoch["train_loss"] + shift, learning_rate=0.125) for epoch in EPOCHS]
    keep(store, recipe, history_json=json.dumps({"epochs": epochs}), history_png=PICTURE)


def note(store: Store, recipe: Recipe, seconds: float = 12.5) -> None:
    """Record a step that ended at MADE."""
    records = Records(store)
    fields = {"key": key_of(recipe), "step": recipe.type, "likeness": likeness(recipe), "state": "finished"}
    records.write(Record.model_validate({**fields, "seconds": seconds, "host": "h", "process": 1, "beat": MADE}))


def pair_report(number: int):
    report = made_pair(3 * number, 1, number)
    names = {"pgd": "pgd", "diva": "diva", "default": OURS}
    return report.replace(
        attacks={names[name]: part for name, part in report.attacks.items()},
        comparisons=tuple(
            part.replace(first=names[part.first], second=names[part.second]) for part in report.comparisons
        ),
    )


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture(scope="session")
def cells(session_folders):
    return {study.study: make_cells(study) for study in (EVASION, THEFT)}


@pytest.fixture
def evasion(store, cells):
    """Four cells, the last of which is not finished; of the steps below them only the first original is here."""
    cells = cells["toy"]
    for number, cell in enumerate(cells[:3]):
        keep(store, cell.recipe, pair_json=pair_report(number).model_dump_json())
        note(store, cell.recipe)
    keep_history(store, cells[0].recipe.pair.original)
    return cells


@pytest.fixture
def theft(store, cells):
    """One cell with its search, and with the histories of DivQAT's training and of some clones."""
    (cell,) = cells["toys"]
    recipe = cell.recipe
    hardening = made_comparison("digits", 3, rows=("ptq", "qat", "rs", "divqat", "divqat+rs"), students=("lenet",))
    keep(store, recipe, hardening_json=hardening.model_dump_json())
    (tuned,) = recipe.victims.choosing("divqat")
    assert isinstance(tuned, TunedRecipe)
    keep(store, tuned, search_json=SEARCH.model_dump_json())
    victims = recipe.victims
    keep_history(store, victims.adapted("qat"), 0.5)
    keep_history(store, victims.hardened(Divqat(alpha=SEARCH.chosen)), 1.5)
    hardened = victims.made("divqat", store, silent)
    keep_history(store, recipe.stealing(hardened, "hard"), 2.5)
    keep_history(store, recipe.stealing(hardened, "soft", "lenet"), 3.5)
    keep_history(store, recipe.stealing(recipe.alpha_variant(0.5), "soft"), 4.5)
    return (cell,)


#: What a first use of MLflow in a process must not leave behind, in a home and an environment of its own.
FIRST_USE = """
import logging, os, sys, threading, warnings
from pathlib import Path
from edgerift.steps import Store
from edgerift.study import Study
from edgerift.track import track
def state():
    levels = {name: logging.getLogger(name).level for name in ("", "mlflow", "alembic", "sqlalchemy", "urllib3")}
    handlers = [logging.getLogger(name).handlers for name in levels]
    return dict(os.environ), levels, handlers, list(warnings.filters), threading.active_count()
folder, study = Path(sys.argv[1]), Study.model_validate_json(sys.argv[2])
before = state()
assert track(study, "template", (), Store(folder / "store"), None, folder) == 0
assert state() == before, (before, state())
import mlflow
from mlflow.telemetry import get_telemetry_client
assert get_telemetry_client() is None
assert mlflow.active_run() is None and not mlflow.tracking.is_tracking_uri_set()
"""


@pytest.fixture(scope="session")
def first_use(session_folders, tmp_path_factory):
    """A database that a process of its own made, for MLflow takes seconds to make one."""
    folder, home = tmp_path_factory.mktemp("template"), tmp_path_factory.mktemp("home")
    # In tests and on build servers MLflow tells its makers nothing anyway.
    silenced = ("CI", "PYTEST", "GITHUB", "MLFLOW", "DO_NOT_TRACK", "XDG")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(silenced)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FIRST_USE, folder, EVASION.model_dump_json()],
        env=environment | {"HOME": str(home), "OMP_NUM_THREADS": "1"},
        cwd=home,
        capture_output=True,
        text=True,
    )
    return done, folder, home


@pytest.fixture
def out(first_use, tmp_path):
    """A folder with a database that is made already."""
    folder = tmp_path / "out"
    folder.mkdir()
    shutil.copy(first_use[1] / "mlflow.db", folder)
    return folder


def client(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        return MlflowClient(f"sqlite:///{folder}/mlflow.db")


def runs_of(folder, experiment="edgerift/toy/small", view=1):
    reader = client(folder)
    found = reader.search_runs([reader.get_experiment_by_name(experiment).experiment_id], run_view_type=view)
    return {run.info.run_name: run for run in found}


def curve(folder, run, name):
    return [(point.step, point.value) for point in client(folder).get_metric_history(run.info.run_id, name)]


def files_of(run):
    root = Path(run.info.artifact_uri.removeprefix("file://"))
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@needs_mlflow
def test_the_first_use_leaves_no_trace_in_the_process_and_tells_nobody(first_use):
    done, folder, home = first_use
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(home.rglob("*mlflow*")) == []
    assert sorted(path.name for path in folder.iterdir()) == ["mlflow.db", "store"]


@needs_mlflow
def test_a_pair_becomes_a_run_with_its_settings_and_tags(evasion, store, out):
    assert track(EVASION, "small", evasion, store, None, out) == 3
    runs = runs_of(out)
    assert sorted(runs) == sorted(cell.name for cell in evasion[:3])
    run, cell = runs["digits, ResNet, qat, seed 0"], evasion[1]
    assert run.info.status == "FINISHED"
    assert (run.info.start_time, run.info.end_time) == (round(1000 * (MADE - 12.5)), round(1000 * MADE))
    own = {name: value for name, value in run.data.tags.items() if name.startswith("edgerift.")}
    assert own == {
        "edgerift.recipe": cell.recipe.digest(),
        "edgerift.cell": cell.name,
        "edgerift.version": "0.1.0",
        "edgerift.study": "toy",
        "edgerift.profile": "small",
        "edgerift.step": "pair",
        "edgerift.fingerprint": cell.recipe.images.fingerprint,
        "edgerift.paper": "diva",
    }
    expected = {
        "data": "digits",
        "original": "ResNet",
        "adaptation": "qat",
        "seed": "0",
        "images.size": "12",
        "train.architecture.name": "resnet8",
        "train.settings.epochs": "2",
        "adapt.method": "qat",
        "adapt.settings.calibration.calibration_images": "1024",
        "build.runtime": "executorch",
        "attacks.diva.objective.type": "diva",
        "attacks.pgd.stop": "never",
        "attacks.ours_ __8.stop": "goal",
        "classes": "[]",
    }
    assert {name: run.data.params.get(name) for name in expected} == expected
    assert run.data.params["images.fingerprint"] == cell.recipe.images.fingerprint
    # Each step once, and its images only where they are others.
    assert not [name for name in run.data.params if name.count("images.") and not name.startswith("images.")]
    assert not [name for name in run.data.params if name.startswith(("pair.", "type", "version"))]


@needs_mlflow
def test_a_pair_becomes_a_run_with_its_figures_and_curves(evasion, store, out):
    track(EVASION, "small", evasion, store, None, out)
    run, report = runs_of(out)["digits, ResNet, qat, seed 0"], pair_report(1)
    metrics, diva = run.data.metrics, report.attacks["diva"]
    expected = {
        "qat.diva.evasive at any step": diva.evasive.value,
        "qat.diva.evasive at any step.low": diva.evasive.low,
        "qat.diva.evasive at any step.high": diva.evasive.high,
        "qat.pgd.evasive at the last step": report.attacks["pgd"].evasive_last.value,
        "qat.ours_ __8.evasive at any step": report.attacks[OURS].evasive.value,
        "qat.diva.SSIM": diva.ssim,
        "qat.accuracy.low": report.build_accuracy.low,
        "qat.pgd.ours_ __8.McNemar_s p": report.comparisons[1].p,
        "qat.images attacked": report.attacked,
        "qat.diva.3.evasive of a class": diva.by_class[3].evasive / diva.by_class[3].attacked,
    }
    assert {name: metrics.get(name) for name in expected} == pytest.approx(expected, abs=0)
    left_out = {"classes", "attack", "by_class", "cumulative", "embeddings", "examples", "successes", "trials"}
    assert not numbers_in(report, left_out | {"version"}) - set(metrics.values()) - curve_values(report)
    calls = [(call, evasive / ATTACKED) for call, evasive in enumerate(diva.cumulative)]
    assert curve(out, run, "qat.diva.evasive after so many gradients") == calls
    # The original's history is here and has more than the report; of the adapted model there is the report alone.
    assert curve(out, run, "original.train_loss") == [(1, 1.5), (2, 0.75)]
    assert curve(out, run, "original.learning_rate") == [(1, 0.125), (2, 0.125)]
    assert curve(out, run, "original.train_accuracy") == [(1, 0.5)]
    assert curve(out, run, "original.validation_loss") == [(1, 1.25)]
    adapted = report.adapted_epochs
    assert curve(out, run, "adapted.train_loss") == [(step, epoch.loss) for step, epoch in enumerate(adapted, 1)]
    told = curve(out, run, "adapted.validation_accuracy")
    assert told == [(step, epoch.validation_accuracy) for step, epoch in enumerate(adapted, 1)]
    assert "adapted.learning_rate" not in metrics
    assert {name.partition(".")[0] for name in metrics} == {"original", "adapted", "qat"}


@needs_mlflow
def test_a_run_has_the_files_of_its_cell_and_the_pictures_of_its_steps(evasion, store, out):
    track(EVASION, "small", evasion, store, None, out)
    run, cell = runs_of(out)["digits, ResNet, ptq, seed 0"], evasion[0]
    assert run.info.artifact_uri.startswith((out / "mlflow-artefacts").as_uri())
    folder = store.root / key_of(cell.recipe)
    assert files_of(run) == {
        "recipe.json": (cell.recipe.canonical_json() + "\n").encode(),
        "pair.json": (folder / "pair.json").read_bytes(),
        "pictures/original/history.png": PICTURE,
    }


@needs_mlflow
def test_a_comparison_becomes_a_run(theft, store, out):
    assert track(THEFT, "small", theft, store, None, out) == 1
    (run,) = runs_of(out, "edgerift/toys/small").values()
    report, metrics = theft[0].recipe.open(store, silent), run.data.metrics
    assert run.data.params["target"] == "mobile"
    assert run.data.params["rows"] == '["ptq", "rs", "divqat", "divqat+rs"]'
    assert run.data.params["attack.training.epochs"] == str(theft[0].recipe.attack.training.epochs)
    assert "edgerift.paper" not in run.data.tags
    divqat, student = report.victim["divqat"], report.students[0]
    expected = {
        "divqat.search_ chosen strength": report.alpha,
        "qat.questions asked": report.thief.spent,
        "divqat.resnet8.soft.adversary_s error": divqat.adversary_error.soft.value,
        "divqat.resnet8.hard.adversary_s error.high": divqat.adversary_error.hard.high,
        "divqat_rs.l1.low": report.victim["divqat+rs"].l1.low,
        "divqat.resnet8.soft.adversary_s error of the best epoch": divqat.best_epoch.soft.error,
        "rs.strength of reverse-sigmoid": report.victim["rs"].defences[0].beta,
        "qat.l1 of another seed": report.noise.test.value,
        "divqat.theory_ alpha that turns the label": report.closed_form.flips,
        "divqat.search_ l1 of another seed": report.searches["divqat"].floor,
        f"{student.victim}.lenet.{student.labels}.disagreement": student.disagreement.value,
    }
    assert {name: metrics.get(name) for name in expected} == pytest.approx(expected, abs=0)
    # Whatever else stands in the report is a curve or a setting.
    left_out = {"data", "attack", "queries", "budget", "allowance", "reliability", "successes", "trials", "count"}
    curves = curve_values(*report.alphas, *(search.trials for search in report.searches.values()))
    numbers = numbers_in(report, left_out | {"version", "sweeps", "alphas", "epoch", "paper", "defences"})
    assert numbers - set(metrics.values()) - curves == set()


@needs_mlflow
def test_searches_alphas_and_trainings_are_curves(theft, store, out):
    track(THEFT, "small", theft, store, None, out)
    (run,) = runs_of(out, "edgerift/toys/small").values()
    report = theft[0].recipe.open(store, silent)
    trials = report.searches["divqat"].trials
    for name, field in (("over", "strength"), ("search_ l1", "l1"), ("search_ accuracy", "accuracy")):
        assert curve(out, run, f"divqat.trial.{name}") == [
            (step, getattr(trial, field)) for step, trial in enumerate(trials, 1)
        ]
    assert curve(out, run, "divqat.trial.search_ allowed") == [(1, 1.0), (2, 1.0), (3, 1.0), (4, 0.0)]
    assert curve(out, run, "divqat.resnet8.soft.alpha.over") == [(1, 0.1), (2, 0.3), (3, 1.0), (4, 2.0)]
    errors = [(step, point.adversary_error.low) for step, point in enumerate(report.alphas, 1)]
    assert curve(out, run, "divqat.resnet8.soft.alpha.adversary_s error.low") == errors
    sweep = [(step, point.ece) for step, point in enumerate(report.sweeps["deception"], 1)]
    assert curve(out, run, "qat.deception.sweep.sweep of deception_ calibration error") == sweep
    trained = {
        "qat": 0.5,
        "divqat": 1.5,
        "divqat.clone.hard": 2.5,
        "students.divqat.lenet.soft": 3.5,
        "alpha-0.5.clone.soft": 4.5,
    }
    for label, shift in trained.items():
        assert curve(out, run, f"{label}.train_loss") == [(1, 1.5 + shift), (2, 0.75 + shift)]
    told = {name.removesuffix(".train_loss") for name in run.data.metrics if name.endswith(".train_loss")}
    assert told == set(trained)
    pictures = {f"pictures/{label}/history.png" for label in trained}
    assert set(files_of(run)) == pictures | {"recipe.json", "hardening.json"}


@needs_mlflow
def test_a_second_call_asks_once_and_writes_nothing(evasion, store, out, monkeypatch):
    assert track(EVASION, "small", evasion, store, None, out) == 3
    asked = []
    with monkeypatch.context() as patch:
        watch_client(patch, asked.append)
        assert track(EVASION, "small", evasion, store, None, out) == 0
    assert asked == ["get_experiment_by_name", "search_runs"]
    keep(store, evasion[3].recipe, pair_json=pair_report(3).model_dump_json())
    assert track(EVASION, "small", evasion, store, None, out) == 1
    assert len(runs_of(out, view=3)) == 4


@needs_mlflow
def test_a_damaged_cell_is_left_out_and_takes_no_other_with_it(evasion, store, out):
    (store.get(evasion[0].recipe) / "pair.json").write_text("{")
    (store.get(evasion[1].recipe) / "recipe.json").unlink()
    assert track(EVASION, "small", evasion, store, None, out) == 1
    assert list(runs_of(out)) == [evasion[2].name]


@needs_mlflow
def test_a_cell_without_a_record_has_the_time_when_it_was_made(evasion, store, out):
    folder = keep(store, evasion[3].recipe, pair_json=pair_report(3).model_dump_json())
    os.utime(folder / "recipe.json", (MADE, MADE))
    track(EVASION, "small", evasion, store, None, out)
    run = runs_of(out)[evasion[3].name]
    assert (run.info.start_time, run.info.end_time) == (round(1000 * MADE), round(1000 * MADE))


@needs_mlflow
def test_two_cells_of_one_recipe_are_two_runs(store, out):
    data = {"digits": {}, "again": {"source": "digits"}}
    study = Study.model_validate(EVASION.model_dump() | {"seeds": (0,), "data": data})
    cells = [cell for cell in make_cells(study) if cell.kind == "ptq"]
    assert cells[0].recipe.digest() == cells[1].recipe.digest()
    keep(store, cells[0].recipe, pair_json=pair_report(0).model_dump_json())
    assert track(study, "small", tuple(cells[:1]), store, None, out) == 1
    assert track(study, "small", tuple(cells), store, None, out) == 1
    assert track(study, "small", tuple(cells), store, None, out) == 0
    assert {run.data.params["data"] for run in runs_of(out).values()} == {"digits", "again"}


@needs_mlflow
def test_a_cell_whose_recipe_changed_is_a_new_run(evasion, store, out):
    track(EVASION, "small", evasion[:1], store, None, out)
    recipe = evasion[0].recipe.replace(count=40)
    changed = dataclasses.replace(evasion[0], recipe=recipe)
    assert track(EVASION, "small", (changed,), store, None, out) == 0
    keep(store, recipe, pair_json=pair_report(0).model_dump_json())
    assert track(EVASION, "small", (changed,), store, None, out) == 1
    assert track(EVASION, "small", (changed,), store, None, out) == 0
    reader = client(out)
    found = reader.search_runs([reader.get_experiment_by_name("edgerift/toy/small").experiment_id])
    assert {run.data.params.get("count") for run in found} == {None, "40"}
    assert len(found) == 2


class KilledError(BaseException):
    """What no handler of errors may catch, as a kill is none."""


@needs_mlflow
@pytest.mark.parametrize(
    ("method", "call"), [("log_batch", 1), ("log_batch", 2), ("log_artifact", 2), ("set_terminated", 1)]
)
def test_a_run_that_was_killed_is_replaced_by_a_whole_one(evasion, store, out, monkeypatch, method, call):
    calls = []

    def killing(name):
        calls.append(name)
        if calls.count(method) == call:
            raise KilledError

    with monkeypatch.context() as patch:
        watch_client(patch, killing)
        with pytest.raises(KilledError):
            track(EVASION, "small", evasion[:1], store, None, out)
    ((half,)) = runs_of(out).values()
    assert half.info.status != "FINISHED"
    assert track(EVASION, "small", evasion[:1], store, None, out) == 1
    ((whole,)) = runs_of(out).values()
    assert whole.info.status == "FINISHED"
    assert whole.info.run_id != half.info.run_id
    track(EVASION, "other", evasion[:1], store, None, out)
    ((other,)) = runs_of(out, "edgerift/toy/other").values()
    assert (whole.data.params, whole.data.metrics) == (other.data.params, other.data.metrics)
    assert files_of(whole) == files_of(other)


@needs_mlflow
def test_many_settings_and_points_go_in_batches_that_every_server_takes(out, monkeypatch):
    sizes = []
    settings = {f"setting {number}": "x" for number in range(230)}
    points = tuple(Point("curve", number / 7, number) for number in range(2300))
    log = CellLog("many", 1000, 2000, {"edgerift.recipe": "d"}, settings, points, ())
    experiment = _Experiment(f"sqlite:///{out}/mlflow.db", EVASION, "small", out / "files")
    with monkeypatch.context() as patch:
        watch_client(patch, lambda name: None, lambda batch: sizes.append({k: len(v) for k, v in batch.items()}))
        experiment.write(log, ())
    assert [size.get("params") for size in sizes[:3]] == [100, 100, 30]
    assert [size.get("metrics") for size in sizes[3:]] == [1000, 1000, 300]
    (run,) = runs_of(out).values()
    assert run.data.params == settings
    assert curve(out, run, "curve") == [(number, number / 7) for number in range(2300)]


@needs_mlflow
def test_a_folder_may_have_an_odd_name(evasion, store, out, tmp_path):
    odd = tmp_path / "a b#c, é&d@e:f"
    shutil.copytree(out, odd)
    assert track(EVASION, "small", evasion[:1], store, None, odd) == 1
    assert track(EVASION, "small", evasion[:1], store, None, odd) == 0
    assert sorted(path.name for path in odd.iterdir()) == ["mlflow-artefacts", "mlflow.db"]
    assert len(list((odd / "mlflow-artefacts").rglob("pair.json"))) == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"out", "store", odd.name}
    with pytest.raises(StoreError, match=r"^MLflow cannot keep its runs in .*/a%20b; give a folder without % and \?"):
        track(EVASION, "small", evasion[:1], store, None, tmp_path / "a%20b")


@needs_mlflow
def test_a_server_that_is_not_there_is_one_line_without_the_password(evasion, store, tmp_path, capfd, caplog):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(StoreError) as raised:
        track(EVASION, "small", evasion, store, f"http://jane:p%40ss-w0rd@127.0.0.1:{port}?key=hidden", tmp_path)
    assert time.monotonic() - began < 10
    text = str(raised.value)
    assert text.startswith(f"MLflow at http://***@127.0.0.1:{port}?*** cannot be used: Connection refused; ")
    assert "\n" not in text
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    said = text + "".join(capfd.readouterr()) + caplog.text
    assert not [secret for secret in ("p%40ss-w0rd", "p@ss-w0rd", "hidden") if secret in said]
    assert caplog.text == ""


@needs_mlflow
def test_an_answer_of_a_server_is_told_without_the_password(evasion, store, tmp_path, monkeypatch):
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    def refuse(self, name):
        raise MlflowException("refused\nhttp://jane:p%40ss@host/x?key=hid%20den with p@ss, key=hid den")

    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", refuse)
    with pytest.raises(StoreError) as raised:
        track(EVASION, "small", evasion, store, "http://jane:p%40ss@host?key=hid%20den", tmp_path)
    assert "refused http://***@host/x?*** with ***, ***; check" in str(raised.value)


@needs_mlflow
@pytest.mark.parametrize("broken", ["text", "folder"])
def test_a_file_that_is_no_database_is_refused_at_once(evasion, store, tmp_path, broken):
    path = tmp_path / "no.db"
    path.mkdir() if broken == "folder" else path.write_text("this is a text, and a rather long one at that" * 30)
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"^MLflow at sqlite:///.*/no\.db cannot be used: .*; check the URI[^\n]*$"):
        track(EVASION, "small", evasion, store, f"sqlite:///{path}", tmp_path)
    assert time.monotonic() - began < 5


@needs_mlflow
def test_an_unknown_kind_of_server_and_a_missing_driver_are_one_line(evasion, store, tmp_path):
    with pytest.raises(StoreError, match=r"^MLflow at gopher://x/y cannot be used: [^\n]*$"):
        track(EVASION, "small", evasion, store, "gopher://x/y", tmp_path)
    if not any(map(importlib.util.find_spec, ("psycopg", "psycopg2"))):
        with pytest.raises(MissingRuntimeError, match=r"^MLflow at postgresql://\*\*\*@h/d needs psycopg2?: pip"):
            track(EVASION, "small", evasion, store, "postgresql://me:secret@h/d", tmp_path)


@needs_mlflow
def test_an_experiment_that_was_deleted_is_not_written_to(evasion, store, out):
    track(EVASION, "small", evasion[:1], store, None, out)
    reader = client(out)
    reader.delete_experiment(reader.get_experiment_by_name("edgerift/toy/small").experiment_id)
    with pytest.raises(StoreError, match=r"experiment 'edgerift/toy/small' was deleted in sqlite:.*; restore it"):
        track(EVASION, "small", evasion, store, None, out)


@needs_mlflow
def test_an_own_choice_in_the_environment_is_kept(evasion, store, out, monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    before = dict(os.environ), logging.getLogger("alembic").level, list(warnings.filters)
    track(EVASION, "small", evasion, store, None, out)
    assert (dict(os.environ), logging.getLogger("alembic").level, list(warnings.filters)) == before


def test_without_mlflow_the_extra_is_named(evasion, store, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingRuntimeError, match=r"tracking needs MLflow.*pip install 'edgerift\[tracking\]'$"):
        track(EVASION, "small", evasion, store, None, tmp_path / "new")


def test_a_folder_that_cannot_be_is_one_line(evasion, store, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"^cannot use .*/file/out: Not a directory; give a folder"):
        track(EVASION, "small", evasion, store, None, tmp_path / "file" / "out")


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("http://host:5000", "edgerift/diva/small"),
        ("sqlite:////databricks/x.db", "edgerift/diva/small"),
        ("databricks", "/Shared/edgerift-diva-small"),
        ("databricks://profile", "/Shared/edgerift-diva-small"),
    ],
)
def test_the_experiment_is_named_by_the_study(uri, name):
    assert experiment_name("diva", "small", uri) == name


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://host:5000/path", "http://host:5000/path"),
        ("https://token@host", "https://***@host"),
        ("postgresql+psycopg2://me:a/b@c@host/db?sslkey=x", "postgresql+psycopg2://***@host/db?***"),
        ("sqlite:////home/a@b/mlflow.db", "sqlite:////home/a@b/mlflow.db"),
        ("databricks", "databricks"),
    ],
)
def test_no_secret_is_shown(uri, shown):
    assert shown_uri(uri) == shown


class First(Recipe):
    type: Literal["first"] = "first"
    version: Literal[1] = 1
    images: ImagesSettings
    rate: float = 0.5

    def produce(self, folder, store, progress): ...


class Part(Settings):
    step: First
    label: str | None = None


class Whole(Recipe):
    type: Literal["whole"] = "whole"
    version: Literal[1] = 1
    images: ImagesSettings
    parts: dict[str, Part]
    more: tuple[Part, ...] = ()
    text: str = "a" * 501
    is_new: bool = True

    def produce(self, folder, store, progress): ...


def test_settings_are_flat_and_each_step_stands_once():
    images, others = ImagesSettings(size=8), ImagesSettings(size=9)
    one, two = First(images=images), First(images=others, rate=2.0)
    recipe = Whole(
        images=images,
        parts={"a+b": Part(step=one), "a.b": Part(step=two, label="x")},
        more=(Part(step=one, label="y"), Part(step=two)),
    )
    found = flat_settings(recipe)
    assert {name: value for name, value in found.items() if "images" not in name} == {
        "first.rate": "0.5",
        "first-2.rate": "2.0",
        "parts.a_b_.label": "x",
        "more.0.label": "y",
        "text": "a" * 497 + "...",
        "is_new": "true",
    }
    assert (found["images.size"], found["first-2.images.size"]) == ("8", "9")
    assert "first.images.size" not in found


def numbers_in(value, left_out):
    """All numbers in a document, but for some fields."""
    if isinstance(value, Settings):
        fields = [getattr(value, name) for name in type(value).model_fields if name not in left_out]
    elif isinstance(value, dict):
        fields = list(value.values())
    elif isinstance(value, tuple):
        fields = list(value)
    else:
        return {float(value)} if isinstance(value, int | float) else set()
    return set().union(*(numbers_in(field, left_out) for field in fields))


def curve_values(*documents):
    """The numbers of documents whose parts are told point by point."""
    return set().union(*(numbers_in(document, {"attacks", "comparisons"}) for document in documents))


def watch_client(patch, seen, batches=None):
    """Have `seen` called with the name of every method of the client before it is, `batches` with every batch."""
    from mlflow import MlflowClient

    def watched(name, method):
        def call(self, *given, **fields):
            seen(name)
            if batches is not None and name == "log_batch":
                batches({key: value for key, value in fields.items() if key != "synchronous"})
            return method(self, *given, **fields)

        return call

    names = ["get_experiment_by_name", "create_experiment", "search_runs", "create_run", "delete_run"]
    for name in [*names, "log_batch", "log_artifact", "set_terminated", "get_run", "set_tag"]:
        patch.setattr(MlflowClient, name, watched(name, getattr(MlflowClient, name)))
