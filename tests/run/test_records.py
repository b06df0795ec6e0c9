"""What is remembered of steps: their time over kills, whether they run, what failed, and what is alike."""

import json
import multiprocessing
import os
import signal
import socket
import threading
import time
from typing import Literal

import pytest
from recorded_work import Images, Work, produce, record, write_many
from tiny_steps import wait_for

from edgerift.errors import StoreError
from edgerift.run import Estimates, Records, Watch, _records, is_running, key_of, likeness
from edgerift.steps import Store

ELSEWHERE = "another-machine"


class Clock:
    """A time of day and a time since the start that go as the test says."""

    def __init__(self, monkeypatch):
        self.day, self.since = 1e9, 100.0
        monkeypatch.setattr(_records.time, "time", lambda: self.day)
        monkeypatch.setattr(_records.time, "perf_counter", lambda: self.since)

    def go(self, seconds, jump=0.0):
        self.day += seconds + jump
        self.since += seconds


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def records(store):
    return Records(store)


def test_a_step_is_remembered_from_its_start_to_its_end(records, clock):
    watch = Watch(Work(), records)
    first = records.read(key_of(Work()))
    assert (first.state, first.seconds, first.task, first.host) == ("running", 0.0, "", socket.gethostname())
    assert (first.process, first.beat, first.step, first.likeness) == (os.getpid(), 1e9, "work", likeness(Work()))
    clock.go(1.5)
    watch("searching", 1, 9)
    assert records.read(first.key) == first
    clock.go(1.0)
    watch("searching", 2, 9, "a note")
    told = records.read(first.key)
    assert (told.state, told.seconds, told.task, told.done, told.total) == ("running", 2.5, "searching", 2, 9)
    assert told.beat == 1e9 + 2.5
    clock.go(0.5)
    watch.finish()
    last = records.read(first.key)
    assert (last.state, last.seconds, last.task, last.done, last.total, last.error) == ("finished", 3.0, "", 0, 0, None)
    assert records.all() == [last]


def test_a_failure_is_remembered_with_its_line_until_it_runs_again(records, clock):
    watch = Watch(Work(), records)
    clock.go(2)
    watch.fail("it broke")
    failed = records.read(key_of(Work()))
    assert (failed.state, failed.error, failed.seconds) == ("failed", "it broke", 2.0)
    Watch(Work(), records)
    again = records.read(key_of(Work()))
    assert (again.state, again.error) == ("running", None)


def test_seconds_add_up_over_kills(records, clock):
    for _ in range(3):
        watch = Watch(Work(), records)
        clock.go(5)
        watch("work", 1, 2)
        # What follows the last sign of life is lost with the kill.
        clock.go(1)
    watch = Watch(Work(), records)
    clock.go(4)
    watch.finish()
    assert records.read(key_of(Work())).seconds == 3 * 5 + 4


def test_a_step_that_was_finished_already_keeps_its_time(records, clock):
    """Two runs of one study: the second finds the result of the first."""
    watch = Watch(Work(), records)
    clock.go(50)
    watch.finish()
    second = Watch(Work(), records)
    clock.go(0.01)
    second.finish()
    assert records.read(key_of(Work())).seconds == 50
    # A result that was deleted is made anew, and its time is not that of both.
    third = Watch(Work(), records)
    clock.go(40)
    third("work", 1, 2)
    assert records.read(key_of(Work())).seconds == 40
    clock.go(20)
    third.finish()
    assert records.read(key_of(Work())).seconds == 60


@pytest.mark.parametrize("jump", [-1e6, 1e6])
def test_a_clock_that_jumps_changes_neither_time_nor_signs_of_life(records, clock, jump):
    watch = Watch(Work(), records)
    clock.go(3, jump)
    watch("work", 1, 2)
    assert records.read(key_of(Work())).done == 1
    clock.go(3)
    watch.finish()
    assert records.read(key_of(Work())).seconds == 6


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"{}",
        json.dumps({**json.loads(record().model_dump_json()), "seconds": -1}).encode(),
        json.dumps({**json.loads(record().model_dump_json()), "seconds": float("nan")}).encode(),
        json.dumps({**json.loads(record().model_dump_json()), "state": "lost"}).encode(),
        record().model_dump_json().encode()[:-20],
    ],
)
def test_a_damaged_record_is_as_none(records, content):
    records.write(record(key="other"))
    path = records.folder / f"{key_of(Work())}.json"
    path.write_bytes(content)
    assert records.read(key_of(Work())) is None
    assert [found.key for found in records.all()] == ["other"]
    Watch(Work(), records).finish()
    assert records.read(key_of(Work())).state == "finished"


def test_what_is_no_record_is_passed_over(records):
    assert records.all() == []
    assert records.read("nothing") is None
    records.write(record())
    (records.folder / "folder.json").mkdir()
    (records.folder / f"{key_of(Work())}.log").write_text("a log")
    (records.folder / ".0123.edgerift-part").write_text("half a record")
    assert [found.key for found in records.all()] == [key_of(Work())]
    assert records.log("a-1") == records.folder / "a-1.log"


def test_records_are_no_results(store, records):
    records.write(record())
    assert not store.has(Work())
    assert [path.name for path in store.root.iterdir()] == [".runs"]


@pytest.fixture
def running(store):
    """A process that works at the step until it is killed."""
    store.root.mkdir()
    (store.root / "wait").touch()
    process = multiprocessing.get_context("spawn").Process(target=produce, args=(store.root,))
    process.start()
    until = time.monotonic() + 100
    while not store.running(Work()) and time.monotonic() < until:
        time.sleep(0.01)
    yield process
    process.kill()
    process.join()


def test_a_step_runs_while_its_process_lives(store, records, running):
    found = records.read(key_of(Work()))
    assert is_running(found, Work(), store)
    # One that says nothing for long still does.
    assert is_running(found.replace(beat=time.time() - 1e5), Work(), store)
    assert not is_running(None, Work(), store)
    for state in ("finished", "failed"):
        assert not is_running(found.replace(state=state), Work(), store)
    os.kill(running.pid, signal.SIGKILL)
    running.join()
    killed = records.read(key_of(Work()))
    assert killed.state == "running"
    # Its number may be another process's by now; the lock tells.
    assert not is_running(killed.replace(process=os.getpid(), beat=time.time()), Work(), store)


@pytest.mark.parametrize(
    ("age", "runs"), [(0, True), (30, True), (59, True), (61, False), (1e6, False), (-30, True), (-1e6, False)]
)
def test_a_step_of_another_machine_runs_as_its_last_sign_of_life_tells(store, clock, age, runs):
    told = record(state="running", host=ELSEWHERE, beat=clock.day - age)
    assert is_running(told, Work(), store) is runs


def test_a_step_that_tells_nothing_says_that_it_lives(records, monkeypatch):
    monkeypatch.setattr(_records, "_QUIET_SECONDS", 0.01)
    watch = Watch(Work(), records)
    started = records.read(key_of(Work()))
    with watch.beating():
        wait_for(lambda: records.read(key_of(Work())).beat > started.beat)
        wait_for(lambda: records.read(key_of(Work())).seconds > started.seconds)
    ended = records.read(key_of(Work()))
    assert ended.state == "running"
    assert "edgerift-beat" not in {thread.name for thread in threading.enumerate()}
    watch.finish()
    assert records.read(key_of(Work())).state == "finished"


def test_a_disk_that_refuses_a_sign_of_life_stops_no_step(records, monkeypatch):
    monkeypatch.setattr(_records, "_QUIET_SECONDS", 0.01)
    watch, tries = Watch(Work(), records), []

    def refuse(record):
        tries.append(record)
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(records, "write", refuse)
        with watch.beating():
            wait_for(lambda: len(tries) > 1)
    watch.finish()
    assert records.read(key_of(Work())).state == "finished"


def test_processes_that_write_one_record_leave_one_whole(store, records):
    process = multiprocessing.get_context("spawn").Process(target=write_many, args=(store.root, 1))
    process.start()
    while process.is_alive():
        write_many(store.root, 2)
    assert process.exitcode == 0
    assert records.read(key_of(Work())).seconds in (1.0, 2.0)
    assert [path.name for path in records.folder.iterdir()] == [f"{key_of(Work())}.json"]


SAME = [
    {"seed": 1},
    {"init_seed": 1},
    {"draw": 1},
    {"images": Images(seed=3, fingerprint="b")},
    {"many": (Images(seed=3),)},
]
OTHER = [
    {"size": 2},
    {"images": Images(source="mnist")},
    {"many": ()},
    {"many": (Images(), Images())},
    {"below": Work()},
]


def test_steps_are_alike_that_differ_in_seeds_alone():
    plain = likeness(Work())
    assert plain.startswith("work-")
    assert [likeness(Work(**fields)) == plain for fields in SAME] == [True] * len(SAME)
    others = [likeness(Work(**fields)) for fields in OTHER]
    assert len({plain, *others}) == len(OTHER) + 1
    assert likeness(Work(below=Work(seed=2))) == likeness(Work(below=Work()))
    assert likeness(Work(below=Work(size=2))) != likeness(Work(below=Work()))


def test_an_estimate_is_of_what_is_alike_else_of_the_type_else_nothing():
    class Unknown(Work):
        type: Literal["unknown"] = "unknown"

    big = likeness(Work(size=2))
    known = [
        record(seconds=1.0),
        record(seconds=3.0),
        record(seconds=50.0),
        record(seconds=7.0, likeness=big),
        record(seconds=900.0, likeness=big, state="failed"),
        record(seconds=900.0, likeness=big, state="running"),
    ]
    estimates = Estimates(known)
    assert estimates.seconds(Work(seed=9)) == 3.0
    assert estimates.seconds(Work(size=2)) == 7.0
    assert estimates.seconds(Work(size=3)) == 5.0
    assert estimates.seconds(Unknown()) is None
    estimates.add(record(seconds=9.0, likeness=big))
    estimates.add(record(seconds=9.0, likeness=big, state="failed"))
    assert estimates.seconds(Work(size=2)) == 8.0
    assert Estimates([]).seconds(Work()) is None
