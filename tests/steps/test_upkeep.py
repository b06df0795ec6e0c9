"""What is listed, what is intact, what may go, and that nothing in use ever does."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Literal

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from edgerift.errors import StoreError
from edgerift.steps import Entry, Recipe, Store, entries, reachable, remove, require_writable, tidy, unneeded, verify

HELD = threading.Event()
GO = threading.Event()


class Part(Recipe):
    type: Literal["part"] = "part"
    version: Literal[1] = 1
    name: str
    starts: tuple["Part", ...] = ()
    waits: bool = False

    def produce(self, folder, store, progress):
        for start in self.starts:
            store.get(start)
        (folder / "text").write_text(self.name * 100)
        if self.waits:
            HELD.set()
            assert GO.wait(60)


def name_of(recipe):
    return f"{recipe.type}-{recipe.digest()}"


def names(found):
    return [entry.name for entry in found]


def age(store, recipe, seconds):
    """Let a result have been used so long ago."""
    then = time.time() - seconds
    os.utime(store.root / name_of(recipe), (then, then))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def running(store):
    """A step that is at work, having opened its input, until the test ends."""
    HELD.clear()
    GO.clear()
    recipe = Part(name="running", starts=(Part(name="input"),), waits=True)
    thread = threading.Thread(target=store.get, args=(recipe,))
    thread.start()
    assert HELD.wait(60)
    yield recipe
    GO.set()
    thread.join(60)
    assert Store(store.root).find(recipe) is not None


def test_a_store_lists_its_results_by_their_use(store):
    first, second = Part(name="first"), Part(name="second")
    for recipe in (first, second):
        store.get(recipe)
    (store.root / "notes").mkdir()
    age(store, first, 50)
    age(store, second, 100)
    found = entries(store)
    assert names(found) == [name_of(second), name_of(first)]
    for entry in found:
        assert entry.size == sum(path.stat().st_size for path in entry.folder.iterdir())
        assert (entry.state, entry.running) == ("finished", False)
    assert time.time() - found[0].used == pytest.approx(100, abs=30)
    # Opening is use.
    Store(store.root).get(second)
    assert names(entries(store)) == [name_of(first), name_of(second)]
    assert entries(Store(store.root / "nothing")) == ()


def test_what_runs_and_what_it_opened_never_goes(store, running):
    old = Part(name="old")
    store.get(old)
    age(store, old, 1000)
    found = {entry.name: entry for entry in entries(store)}
    assert found[name_of(running)].running
    assert found[name_of(running)].state == "unfinished"
    gone = unneeded(tuple(found.values()), now=time.time() + 10**6, unfinished=True)
    assert names(gone) == [name_of(old)]
    # Nor when somebody asks for it by name.
    assert not remove(store, found[name_of(running)])
    assert (store.root / ".work" / name_of(running) / "text").exists()
    assert remove(store, found[name_of(old)])
    assert not store.has(old)


def test_what_was_used_since_it_was_listed_stays(store):
    recipe = Part(name="one")
    store.get(recipe)
    age(store, recipe, 1000)
    (entry,) = entries(store)
    Store(store.root).get(recipe)
    assert not remove(store, entry)
    assert store.find(recipe) is not None
    (entry,) = entries(store)
    assert remove(store, entry)
    assert not remove(store, entry)
    assert [path.name for path in store.root.rglob("*")] == [".work"]


def test_a_result_goes_as_a_whole(store, monkeypatch):
    """A removal that is killed leaves the result whole or not at all, and the next one clears up."""
    recipe = Part(name="one")
    store.get(recipe)
    (entry,) = entries(store)

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            remove(store, entry)
    assert not store.has(recipe)
    assert entries(store) == ()
    tidy(store)
    assert [path.name for path in store.root.rglob("*")] == [".work"]


def test_reachable_is_what_a_recipe_needs_and_nothing_else(store):
    shared, other = Part(name="shared"), Part(name="other")
    top = Part(name="top", starts=(Part(name="left", starts=(shared,)), Part(name="right", starts=(shared,))))
    kept = reachable([top], store)
    assert kept == {name_of(recipe) for recipe in (top, *top.starts, shared)}
    for recipe in (top, other):
        store.get(recipe)
    gone = unneeded(entries(store), now=time.time() + 1, keep=kept)
    assert names(gone) == [name_of(other)]


class Story:
    """Entries of any ages and sizes."""

    entries = st.lists(
        st.builds(
            lambda number, used, size, state, running: (number, used, size, state, running),
            st.integers(0, 30),
            st.integers(0, 100),
            st.integers(0, 50),
            st.sampled_from(["finished", "unfinished"]),
            st.booleans(),
        ),
        max_size=12,
        unique_by=lambda entry: entry[0],
    )


@given(
    drawn=Story.entries,
    keep=st.sets(st.integers(0, 30)),
    older_than=st.none() | st.integers(0, 100),
    max_size=st.none() | st.integers(0, 300),
    unfinished=st.booleans(),
)
def test_what_goes_obeys_every_rule(drawn, keep, older_than, max_size, unfinished):
    found = [
        Entry(f"part-{number:032x}", Path("nowhere"), state, size, float(used), running and state == "finished")
        for number, used, size, state, running in drawn
    ]
    kept = {f"part-{number:032x}" for number in keep}
    gone = unneeded(found, now=101.0, keep=kept, older_than=older_than, max_size=max_size, unfinished=unfinished)
    free = [
        entry
        for entry in found
        if not entry.running and entry.name not in kept and (unfinished or entry.state == "finished")
    ]
    assert {entry.name for entry in gone} <= {entry.name for entry in free}
    stay = [entry for entry in free if entry not in gone]
    if older_than is None and max_size is None:
        assert stay == []
    old = {entry.name for entry in free if older_than is not None and 101.0 - entry.used > older_than}
    assert old <= {entry.name for entry in gone}
    more = [entry for entry in gone if entry.name not in old]
    left = sum(entry.size for entry in found if entry not in gone)
    if max_size is not None:
        assert left <= max_size or stay == []
        # No more than is needed, and what was used last at the end.
        assert not more or left + more[-1].size > max_size
        assert all(one.used <= other.used for one in more for other in stay)
    elif older_than is not None:
        assert more == []


def spoil_recipe(folder):
    (folder / "recipe.json").write_text(Part(name="another").canonical_json() + "\n")


def spoil_text(folder):
    content = bytearray((folder / "text").read_bytes())
    content[7] ^= 16
    (folder / "text").write_bytes(content)


def spoil_missing(folder):
    (folder / "text").unlink()


def spoil_seal(folder):
    (folder / "SHA256SUMS").write_text("no seal")


def spoil_folder(folder):
    shutil.rmtree(folder)
    folder.write_text("")


@pytest.mark.parametrize("spoil", [spoil_recipe, spoil_text, spoil_missing, spoil_seal, spoil_folder])
def test_verify_names_what_is_damaged_and_removing_it_makes_it_good(store, spoil):
    good, bad = Part(name="good"), Part(name="bad")
    for recipe in (good, bad):
        store.get(recipe)
    spoil(store.root / name_of(bad))
    verdicts = {verdict.entry.name: verdict for verdict in map(verify, entries(store))}
    assert verdicts[name_of(good)].state == "intact"
    assert verdicts[name_of(bad)].state == "damaged"
    assert verdicts[name_of(bad)].damage
    assert remove(store, verdicts[name_of(bad)].entry)
    assert [verify(entry).state for entry in entries(store)] == ["intact"]
    assert Store(store.root).get(bad).is_dir()


def test_verify_tells_what_has_no_seal_yet(store):
    folder = store.get(Part(name="old"))
    (folder / "SHA256SUMS").unlink()
    assert [verify(entry).state for entry in entries(store)] == ["unsealed"]
    Store(store.root).get(Part(name="old"))
    assert [verify(entry).state for entry in entries(store)] == ["intact"]


def test_tidy_removes_what_nobody_goes_on_from_and_nothing_else(store, running):
    work = store.root / ".work"
    left = Part(name="left")
    unfinished = work / name_of(left)
    unfinished.mkdir()
    (unfinished / "ledger.bin").write_text("paid for")
    for suffix in (".lock", ".tar"):
        (work / f"{name_of(left)}{suffix}").write_text("")
    (work / f"{name_of(left)}.fetched" / "below").mkdir(parents=True)
    (work / "notes.lock").write_text("")
    with FileLock(work / f"{name_of(Part(name='busy'))}.lock"):
        (work / f"{name_of(Part(name='busy'))}.tar").write_text("")
        tidy(store)
        stay = {path.name for path in work.iterdir()}
    assert stay == {
        name_of(left),
        "notes.lock",
        *(f"{name_of(Part(name='busy'))}{suffix}" for suffix in (".lock", ".tar")),
        *(f"{name_of(running)}{suffix}" for suffix in ("", ".lock")),
    }
    assert (unfinished / "ledger.bin").exists()
    tidy(Store(store.root / "nothing"))


def test_no_lock_file_outlives_its_lock(store):
    store.get(Part(name="top", starts=(Part(name="input"),)))
    assert list((store.root / ".work").iterdir()) == []
    assert not store.running(Part(name="top"))


RACE = """
import sys, time
from pathlib import Path
from edgerift.steps._locks import let_go, lock_in_turn
place = Path(sys.argv[1])
for turn in range(60):
    lock = lock_in_turn(place / "lock")
    inside = place / "inside"
    inside.open("x").close()
    count = place / "count"
    count.write_text(str(int(count.read_text()) + 1))
    inside.unlink()
    let_go(lock)
"""


def test_processes_that_remove_the_files_of_their_locks_exclude_each_other(tmp_path):
    """Who waits has opened a file that its holder removes: were that taken for the lock, two would be inside."""
    (tmp_path / "count").write_text("0")
    racing = [subprocess.Popen([sys.executable, "-c", RACE, str(tmp_path)], stderr=subprocess.PIPE) for _ in range(3)]
    errors = [process.communicate(timeout=120)[1] for process in racing]
    assert [process.returncode for process in racing] == [0, 0, 0], errors
    assert (tmp_path / "count").read_text() == "180"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["count"]


def test_a_store_that_can_be_written_is_left_as_it_was(tmp_path):
    require_writable(tmp_path / "new" / "store")
    (tmp_path / "there").mkdir()
    require_writable(tmp_path / "there")
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_store_that_cannot_be_written_is_told(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot use .*Not a directory"):
        require_writable(tmp_path / place)


@pytest.mark.parametrize("vanishing", ["file", "folder", "work"])
def test_what_vanishes_while_a_store_is_looked_at_is_gone(store, monkeypatch, vanishing):
    """A step at work beside the look removes files, and its folder becomes a result."""
    good, other = Part(name="good"), Part(name="other")
    for recipe in (good, other):
        store.get(recipe)
    folder = store.root / name_of(other)
    if vanishing == "work":
        folder = folder.rename(store.root / ".work" / folder.name)
    true = Path.lstat
    goes = {"file": folder / "text", "folder": folder, "work": folder}[vanishing]

    def lstat(path):
        if path == goes:
            shutil.rmtree(goes) if vanishing == "folder" else goes.rename(store.root / goes.name)
        return true(path)

    found = entries(store)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "lstat", lstat)
        seen = entries(store)
    assert names(seen) == [name_of(good)] if vanishing == "folder" else set(names(seen)) == set(names(found))
    shutil.rmtree(store.root / name_of(other), ignore_errors=True)
    (entry,) = (entry for entry in found if entry.name == name_of(other))
    assert verify(entry).state == "gone"
    assert verify(entry).damage == ""
    assert not remove(store, entry)
