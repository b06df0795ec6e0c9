import errno
import os
import shutil
import threading
from pathlib import Path
from typing import Literal

import pytest

from edgerift.errors import RecipeError, StoreError
from edgerift.steps import Recipe, Store, default_root, silent


class Words(Recipe):
    type: Literal["words"] = "words"
    version: Literal[1] = 1
    text: str = "hello"
    starts: tuple["Words", ...] = ()

    def produce(self, folder, store, progress):
        progress("words", 0, 1)
        before = [(store.get(start, progress) / "text").read_text() for start in self.starts]
        with (store.root / "log").open("a") as log:
            log.write(f"{self.text}\n")
        (folder / "below").mkdir(exist_ok=True)
        (folder / "below" / "text").write_text("deep")
        (folder / "text").write_text(" ".join([*before, self.text]))


class Failing(Recipe):
    """Fails with the error it is given, once it has written half of its result."""

    type: Literal["failing"] = "failing"
    version: Literal[1] = 1

    def produce(self, folder, store, progress):
        if not (folder / "half").exists():
            (folder / "half").write_text("half")
            raise FAILURES.pop()
        (folder / "whole").write_text((folder / "half").read_text() + " whole")


class Narcissus(Recipe):
    type: Literal["narcissus"] = "narcissus"
    version: Literal[1] = 1

    def produce(self, folder, store, progress):
        store.get(self)


FAILURES: list[BaseException] = []


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "deep" / "store")


def built(store):
    return (store.root / "log").read_text().splitlines()


def test_a_result_is_built_once_and_found_after(store):
    recipe = Words()
    assert not store.has(recipe)
    folder = store.get(recipe)
    assert folder == store.root / f"words-{recipe.digest()}"
    assert (folder / "recipe.json").read_text() == recipe.canonical_json() + "\n"
    assert (folder / "text").read_text() == "hello"
    assert store.has(recipe)
    assert store.get(Words()) == Store(store.root).get(recipe) == folder
    assert built(store) == ["hello"]
    assert not (store.root / ".work" / folder.name).exists()
    assert store.get(Words(text="other")) != folder


def test_inputs_are_built_first_and_once(store):
    shared = Words(text="shared")
    left, right = (Words(text=name, starts=(shared,)) for name in ("left", "right"))
    calls = []

    folder = store.get(Words(text="top", starts=(left, right)), lambda *report: calls.append(report))
    assert (folder / "text").read_text() == "shared left shared right top"
    assert built(store) == ["shared", "left", "right", "top"]
    assert len(calls) == 4


def test_threads_that_ask_at_the_same_time_build_once(store):
    gate, folders = threading.Barrier(4), []

    def ask():
        gate.wait()
        folders.append(store.get(Words()))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert len(folders) == 4
    assert built(store) == ["hello"]


@pytest.mark.parametrize(
    "error", [ValueError("wrong"), OSError(errno.EACCES, "no"), KeyboardInterrupt(), RecipeError("bad")]
)
def test_an_error_of_the_recipe_passes_unchanged_and_the_work_goes_on(store, error):
    FAILURES[:] = [error]
    with pytest.raises(type(error)) as caught:
        store.get(Failing())
    assert caught.value is error
    assert not store.has(Failing())
    assert (store.root / ".work" / f"failing-{Failing().digest()}" / "half").exists()
    assert (store.get(Failing()) / "whole").read_text() == "half whole"


def spoil_missing(folder):
    (folder / "recipe.json").unlink()


def spoil_truncated(folder):
    (folder / "recipe.json").write_bytes((folder / "recipe.json").read_bytes()[:10])


def spoil_binary(folder):
    (folder / "recipe.json").write_bytes(b"\xff\xfe")


def spoil_other(folder):
    (folder / "recipe.json").write_text(Words(text="other").canonical_json() + "\n")


def spoil_folder(folder):
    shutil.rmtree(folder)
    folder.write_text("")


@pytest.mark.parametrize("spoil", [spoil_missing, spoil_truncated, spoil_binary, spoil_other, spoil_folder])
def test_a_damaged_result_is_named_and_never_used(store, spoil):
    folder = store.get(Words())
    spoil(folder)
    for ask in (store.get, store.has):
        with pytest.raises(StoreError) as caught:
            ask(Words())
        assert f"delete {folder} and run again" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert built(store) == ["hello"]
    if folder.is_dir():
        shutil.rmtree(folder)
    else:
        folder.unlink()
    assert (store.get(Words()) / "text").read_text() == "hello"


def test_a_full_disk_in_a_recipe_says_so_and_the_next_run_goes_on(store):
    FAILURES[:] = [OSError(errno.ENOSPC, "No space left on device")]
    with pytest.raises(StoreError, match=r"the disk is full: .*failing-.* MB are free; free some space"):
        store.get(Failing())
    assert not store.has(Failing())
    assert (store.get(Failing()) / "whole").exists()


@pytest.mark.parametrize("calls_that_work", range(9))
def test_a_full_disk_in_the_store_leaves_no_result(store, monkeypatch, calls_that_work):
    real, left = os.fsync, [calls_that_work]

    def fsync(descriptor):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(StoreError, match="the disk is full"):
            store.get(Words())
    assert not store.has(Words())
    folder = store.get(Words())
    assert sorted(file.name for file in folder.rglob("*")) == ["SHA256SUMS", "below", "recipe.json", "text", "text"]


def test_what_a_killed_write_left_is_not_part_of_a_result(store):
    work = store.root / ".work" / f"words-{Words().digest()}"
    (work / "below").mkdir(parents=True)
    for folder in (work, work / "below"):
        (folder / ".0123.edgerift-part").write_text("half")
    assert not list(store.get(Words()).rglob("*part"))


def test_a_recipe_that_asks_for_itself_is_told(store):
    with pytest.raises(StoreError, match="asks for its own result"):
        store.get(Narcissus())


def test_a_store_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"the store .*file is a file; give a folder"):
        Store(tmp_path / "file").get(Words())
    with pytest.raises(StoreError, match=r"cannot use .*below"):
        Store(tmp_path / "file" / "below").get(Words())


def test_a_store_that_cannot_be_written_still_gives_what_it_has(store, monkeypatch):
    folder = store.get(Words())

    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "mkdir", refuse)
    monkeypatch.setattr(os, "fsync", refuse)
    assert store.get(Words()) == folder
    with pytest.raises(StoreError, match=r"cannot use .*: Read-only file system"):
        store.get(Words(text="other"))


def test_the_root_does_not_move_with_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store("results")
    monkeypatch.chdir("/")
    assert store.get(Words(), silent).parent == tmp_path / "results"
    assert repr(store) == f"Store('{tmp_path / 'results'}')"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"EDGERIFT_STORE": "/a/b"}, "/a/b"),
        ({"EDGERIFT_STORE": "~/b"}, "/home/someone/b"),
        ({"EDGERIFT_STORE": "", "XDG_CACHE_HOME": "/cache"}, "/cache/edgerift/store"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/someone/.cache/edgerift/store"),
        ({"XDG_CACHE_HOME": ""}, "/home/someone/.cache/edgerift/store"),
        ({}, "/home/someone/.cache/edgerift/store"),
    ],
)
def test_default_root(monkeypatch, variables, expected):
    for name in ("EDGERIFT_STORE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"HOME": "/home/someone"} | variables).items():
        monkeypatch.setenv(name, value)
    assert default_root() == Path(expected)
