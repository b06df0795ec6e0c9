"""Processes of this machine: what they do with steps, and how they end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_steps import (
    Deadly,
    Failing,
    Growing,
    Parent,
    Surroundings,
    Tiny,
    is_alive,
    results,
    said,
    surroundings,
    wait_for,
)
from tiny_study import STEPS, kill_workers, leftovers, run_here, tiny_goals

from edgerift.errors import InputError, StoreError
from edgerift.run import Here, Place, Processes, key_of, run_steps
from edgerift.steps import Store

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="there are no process groups")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_a_whole_graph_with_a_worker_that_is_killed_in_the_middle(store, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    first = Tiny(name="ab")
    slow = Tiny(name="slow", seconds=1.0)
    goals = [Growing(first=first), Tiny(name="top", starts=(first, slow)), Failing(), Deadly(), Surroundings()]
    place = Place(store=store.root, threads=3, data_root=tmp_path)
    summary = run_steps(goals, store, Processes(place, 2))
    assert (summary.built, summary.deaths) == (9, 1)
    began = said(store.root, "began")
    assert len(began) == len(set(began)), "what ran beside the step that died was not run again"
    assert len(said(store.root, "deaths-deadly")) == 1
    (failed,) = summary.failed
    assert failed.error == "ValueError: this step fails"
    log = Path(failed.log).read_text()
    assert log.startswith("said in Python\nsaid in C\n")
    assert "with a second line" in log

    files = results(store.root)
    found = files.pop(f"{key_of(Surroundings())}/found.json")
    variables = {"OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": "3", "EDGERIFT_DATA": str(tmp_path)}
    assert found.pop("process") != os.getpid()
    assert found == {
        "variables": variables, "threads": 3, "leads its group": True, "ignores Ctrl-C": True, "input": ""
    }  # fmt: skip
    assert os.environ["OMP_NUM_THREADS"] == "7"
    other = Store(tmp_path / "other")
    run_steps(goals[:2], other, Here(Place(store=other.root)))
    assert results(other.root).items() <= files.items()


@pytest.mark.slow
def test_to_close_is_to_stop_what_runs_and_all_it_started(store):
    workers = Processes(Place(store=store.root), 1)
    workers.start("step", Parent())
    wait_for(lambda: said(store.root, "processes"))
    worker, child = map(int, said(store.root, "processes")[0].split())
    assert is_alive(worker)
    assert is_alive(child)
    began = time.monotonic()
    workers.close()
    assert time.monotonic() - began < 5
    assert not is_alive(worker)
    wait_for(lambda: not is_alive(child), 5)
    workers.close()


def test_a_worker_that_cannot_start_says_why(store, monkeypatch):
    monkeypatch.setattr("edgerift.run._processes.START", "import a_module_that_is_missing")
    summary = run_steps([Tiny(name="a")], store, Processes(Place(store=store.root), 2))
    told = "its worker ended with exit code 1 (ModuleNotFoundError: No module named 'a_module_that_is_missing')"
    assert [failed.error for failed in summary.failed] == [f"{told}, for the third time; does it have enough memory?"]
    assert summary.deaths == 3


@pytest.mark.parametrize(
    ("threads", "count", "cores", "each"), [(0, 2, 8, 4), (0, 3, 2, 1), (5, 2, 8, 5), (0, None, 6, 1)]
)
def test_the_cores_are_shared_out(store, monkeypatch, threads, count, cores, each):
    monkeypatch.setattr("edgerift.run._processes.cores", lambda: cores)
    workers = Processes(Place(store=store.root, threads=threads), count)
    assert workers.capacity == (count or cores)
    assert workers._place.threads == each
    workers.close()


def test_less_than_one_process_is_refused(store):
    with pytest.raises(InputError, match="give 1 or more"):
        Processes(Place(store=store.root), 0)


@pytest.mark.slow
def test_a_store_that_cannot_be_written_ends_the_run(store):
    (store.root / ".runs").mkdir(parents=True)
    (store.root / ".runs" / f"{key_of(Tiny(name='a'))}.log").mkdir()
    with pytest.raises(StoreError, match=r"cannot write .*\(on "):
        run_steps([Tiny(name="a")], store, Processes(Place(store=store.root), 1))


@pytest.mark.slow
def test_a_step_that_another_python_cannot_read_fails(store, tmp_path, monkeypatch):
    (tmp_path / "passing.py").write_text("from tiny_steps import Tiny\n\nclass Passing(Tiny):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    from passing import Passing  # type: ignore[import-not-found]

    monkeypatch.undo()
    summary = run_steps([Passing(name="a"), Tiny(name="b")], store, Processes(Place(store=store.root), 1))
    (failed,) = summary.failed
    assert "No module named 'passing'" in failed.error
    assert "Traceback" in Path(failed.log).read_text()
    assert summary.built == 1


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGSEGV, signal.SIGABRT])
def test_a_crash_leaves_its_trace_in_the_log(store, how):
    deadly = Deadly(times=9, signal=how)
    summary = run_steps([deadly, Tiny(name="a", seconds=2.0)], store, Processes(Place(store=store.root), 2))
    (failed,) = summary.failed
    assert failed.error.startswith(f"its worker was killed by {how.name}, for the third time")
    assert summary.built == 1
    assert said(store.root, "began") == ["a"]
    log = Path(failed.log).read_text()
    assert "Fatal Python error" in log
    assert "tiny_steps.py" in log


@pytest.mark.slow
def test_a_step_that_has_no_room_beside_another_is_tried_alone(store):
    """The step dies whenever another one runs, as one does that takes the memory which the other has."""
    goals = [Deadly(heavy=True), *(Tiny(name=f"long-{number}", seconds=4.0) for number in range(4))]
    summary = run_steps(goals, store, Processes(Place(store=store.root), 2))
    assert (summary.built, summary.failed, summary.deaths) == (5, (), 2)


DRIVER = """
import sys
from tiny_steps import Parent
from edgerift.steps import Store
from edgerift.run import Place, Processes, run_steps

root = sys.argv[1]
try:
    run_steps([Parent()], Store(root), Processes(Place(store=root), 2))
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9), (signal.SIGTERM, -15)])
def test_no_worker_outlives_the_process_that_started_it(store, sent, code):
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, store.root],
        env=surroundings(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(lambda: said(store.root, "processes"))
    worker, child = map(int, said(store.root, "processes")[0].split())
    # As a terminal does it: to the whole group.
    os.killpg(process.pid, sent)
    _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (code, "")
    wait_for(lambda: not is_alive(worker) and not is_alive(child), 5)


@pytest.mark.slow
def test_a_study_in_two_processes_of_which_some_are_killed_is_the_same(tmp_path):
    """The search in two shards is the same as the whole one in this process."""
    whole, root = tmp_path / "whole", tmp_path / "two"
    run_here(tiny_goals(tmp_path, shards=False), whole)
    goals = tiny_goals(tmp_path)
    killed = kill_workers(root, ["train", "evade-shard"])
    summary = run_steps(goals, Store(root), Processes(Place(store=root, threads=1), 2))
    assert (summary.built, summary.failed, summary.deaths) == (STEPS, (), 2)
    assert killed == ["train", "evade-shard"]
    found = results(root)
    shards = {name for name in found if name.startswith("evade-shard-")}
    assert len(shards) == 4
    assert {name: content for name, content in found.items() if name not in shards} == results(whole)
    assert leftovers(root) == []
