"""A folder that changes as a whole: killed or refused at every step, beside the user's own files, with two writers."""

import json
import subprocess
import sys

import pytest

from edgerift.errors import EdgeriftWarning, StoreError
from edgerift.steps import held_folder

NAMES = ("audit.json", "findings/a.json", "findings/a.png", "report.html")

#: Change a folder in a child that dies at its N-th step, or whose N-th step fails, for every N; look at what is left.
#: It is a program of its own, since a step is seen by an audit hook, which stays for as long as the process lives.
PROGRAM = """
import itertools, json, os, shutil, sys
from pathlib import Path

from edgerift.errors import EdgeriftWarning, StoreError
from edgerift.steps import held_folder

base, how, company = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
folder = base / "out"
STEPS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "open"}

def change(word, names):
    with held_folder(folder) as held, held.replaced(last="audit.json") as staged:
        for name in names:
            (staged / name).parent.mkdir(exist_ok=True)
            (staged / name).write_text(word)

def words():
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in files
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }

def stop_at(number):
    steps = itertools.count()

    def hook(event, arguments):
        if event not in STEPS or (event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)):
            return
        if next(steps) == number:
            if how == "dies":
                os._exit(9)
            raise OSError(5, "Input/output error")

    sys.addaudithook(hook)

seen = []
for number in itertools.count():
    shutil.rmtree(base, ignore_errors=True)
    folder.mkdir(parents=True)
    change("old", ["audit.json", "findings/a.json", "findings/old.png", "old.onnx"])
    for name in company:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine")
    child = os.fork()
    if child == 0:
        stop_at(number)
        try:
            change("new", ["audit.json", "findings/a.json", "findings/new.png", "report.html"])
        except (StoreError, OSError):
            os._exit(3)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = words()
    change("next", ["audit.json", "next.onnx"])
    rest = sorted(path.name for path in base.iterdir()), sorted(path.name for path in folder.iterdir())
    seen.append({"code": code, "left": left, "then": words(), "rest": rest})
    if code == 0 and how == "dies":
        break
    if code == 0 and seen[-20:] == 20 * [seen[-1]]:
        break
print(json.dumps(seen))
"""

OLD = dict.fromkeys(("audit.json", "findings/a.json", "findings/old.png", "old.onnx"), "old")
NEW = dict.fromkeys(("audit.json", "findings/a.json", "findings/new.png", "report.html"), "new")


def write(folder, word, names=NAMES, known=()):
    with held_folder(folder) as held, held.replaced(last="audit.json", known=known) as staged:
        for name in names:
            (staged / name).parent.mkdir(exist_ok=True)
            (staged / name).write_text(word)


def files(folder):
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_text() for name, path in found.items() if name != ".edgerift-files"}


@pytest.mark.parametrize("company", [(), ("notes.txt", "findings/mine.png")], ids=["alone", "beside the user's"])
@pytest.mark.parametrize("how", ["dies", "fails"])
def test_every_step_may_be_the_last_one(tmp_path, how, company):
    """Alone in its folder the old result is whole or the new one is; beside the user's files none mix."""
    arguments = [sys.executable, "-c", PROGRAM, str(tmp_path / "base"), how, json.dumps(company)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    mine = dict.fromkeys(company, "mine")
    stopped = [one for one in seen if one["code"] != 0]
    assert len(stopped) > 8
    for one in seen:
        own = {name: word for name, word in one["left"].items() if name not in mine}
        assert {name: word for name, word in one["left"].items() if name in mine} == mine
        if company:
            assert own.items() <= OLD.items() or own.items() <= NEW.items()
        else:
            assert own in (OLD, NEW)
        assert one["then"] == {"audit.json": "next", "next.onnx": "next", **mine}
        folders = {name.split("/")[0] for name in one["then"]}
        assert one["rest"] == [["out"], sorted({*folders, ".edgerift-files"})]
    # Both outcomes were seen, and where steps can be half done so was what lies between.
    kinds = {tuple(sorted(set(one["left"].values()) - {"mine"})) for one in stopped}
    assert kinds >= {("old",)} if how == "fails" and not company else kinds >= {("old",), ("new",)}


def test_only_what_was_written_goes(tmp_path):
    write(tmp_path / "out", "one")
    for name in ("mine.txt", "findings/mine.json"):
        (tmp_path / "out" / name).write_text("mine")
    write(tmp_path / "out", "two", ["audit.json"])
    assert files(tmp_path / "out") == {"audit.json": "two", "mine.txt": "mine", "findings/mine.json": "mine"}
    assert {path.name for path in tmp_path.iterdir()} == {"out"}


def test_a_block_that_fails_changes_nothing(tmp_path):
    write(tmp_path, "one")
    before = files(tmp_path)
    with pytest.raises(TypeError, match="data must be str"):
        write(tmp_path, 2)
    assert files(tmp_path) == before


@pytest.mark.parametrize("place", ["audit.json", "findings", "findings/a.png"])
def test_a_file_of_the_users_is_never_replaced(tmp_path, place):
    """But one that holds the same anyway is no obstacle, and stays the user's."""
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    before = files(tmp_path)
    with pytest.raises(StoreError, match=f"{place}.* is not what was written there before"):
        write(tmp_path, "one")
    assert files(tmp_path) == before
    if place != "findings":
        write(tmp_path, "mine")
        write(tmp_path, "other", ["report.html"])
        assert files(tmp_path) == {place: "mine", "report.html": "other"}


def test_files_of_a_folder_without_a_list_are_known(tmp_path):
    for name in (*NAMES, "mine.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("before lists")
    write(tmp_path, "one", ["audit.json"], known=NAMES)
    assert files(tmp_path) == {"audit.json": "one", "mine.txt": "before lists"}
    write(tmp_path, "two", ["report.html"], known=["mine.txt"])
    assert files(tmp_path) == {"report.html": "two", "mine.txt": "before lists"}


@pytest.mark.parametrize("name", ["../outside", "/outside", "link/inside", "a\0b", ""])
def test_a_list_cannot_name_what_lies_elsewhere(tmp_path, name):
    folder, other = tmp_path / "out", tmp_path / "other"
    other.mkdir()
    for path in (tmp_path / "outside", other / "inside"):
        path.write_text("mine")
    write(folder, "one", ["audit.json"])
    (folder / "link").symlink_to(other)
    listed = name.replace("/outside", str(tmp_path / "outside")) if name.startswith("/") else name
    (folder / ".edgerift-files").write_text(f"audit.json\n{listed}\n")
    write(folder, "two", ["audit.json"])
    assert (folder / "audit.json").read_text() == "two"
    assert {path.read_text() for path in (tmp_path / "outside", other / "inside")} == {"mine"}
    assert (folder / "link").is_symlink()


@pytest.mark.parametrize("company", [(), ("mine.txt",)], ids=["alone", "beside the user's"])
def test_a_folder_has_one_writer(tmp_path, company):
    folder, link = tmp_path / "out", tmp_path / "link"
    write(folder, "one")
    link.symlink_to(folder)
    for name in company:
        (folder / name).write_text("mine")
    for path in (folder, link):
        with held_folder(folder) as held:
            with held.replaced(last="audit.json") as staged:
                (staged / "audit.json").write_text("two")
                with pytest.raises(StoreError, match=r"another process is writing into .*out"), held_folder(path):
                    pass
            # The folder that took its place is held as well.
            with pytest.raises(StoreError, match="choose another folder"), held_folder(path):
                pass
        with held_folder(path):
            pass
    assert files(folder) == {"audit.json": "two", **dict.fromkeys(company, "mine")}
    assert {path.name for path in tmp_path.iterdir()} == {"out", "link"}


def test_a_killed_writer_holds_nothing(tmp_path):
    program = f"""
import os
from pathlib import Path
from edgerift.steps import held_folder
with held_folder(Path({str(tmp_path / "out")!r})) as held:
    print("held", flush=True)
    os.read(0, 1)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(StoreError, match="another process"), held_folder(tmp_path / "out"):
            pass
    finally:
        process.kill()
        process.communicate()
    with held_folder(tmp_path / "out"):
        pass


def test_a_folder_in_which_its_user_stands_stays_the_same_one(tmp_path, monkeypatch):
    write(tmp_path / "out", "one")
    monkeypatch.chdir(tmp_path / "out")
    before = (tmp_path / "out").stat().st_ino
    write(tmp_path / "out", "two")
    assert (tmp_path / "out").stat().st_ino == before
    assert set(files(tmp_path / "out").values()) == {"two"}


def test_a_system_without_such_a_step_comes_to_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())
    write(tmp_path / "out", "one")
    write(tmp_path / "out", "two", ["audit.json", "findings/b.json"])
    assert files(tmp_path / "out") == {"audit.json": "two", "findings/b.json": "two"}
    assert {path.name for path in tmp_path.iterdir()} == {"out"}


@pytest.fixture
def killed(tmp_path, monkeypatch):
    """A folder of `one` beside a file of the user's, whose change to `two` was killed before its first step."""
    folder = tmp_path / "out"
    write(folder, "one", ["audit.json", "report.html"])
    (folder / "mine.txt").write_text("mine")

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("edgerift.steps._switch._carry_out", die)
        with pytest.raises(KeyboardInterrupt):
            write(folder, "two", ["audit.json", "summary.md"])
    assert (folder / "report.html").read_text() == "one"
    return folder


@pytest.mark.parametrize("place", ["audit.json", "summary.md"])
def test_what_the_user_put_in_the_place_of_a_new_file_since_a_kill_is_refused(killed, place):
    (killed / place).unlink(missing_ok=True)
    (killed / place).write_text("user's")
    before = {path.name for path in killed.iterdir()}
    with pytest.raises(
        StoreError, match=rf"{place} was put there after a run was killed .* move it away and run again"
    ):
        held_folder(killed).__enter__()
    assert (killed / place).read_text() == "user's"
    assert {path.name for path in killed.iterdir()} == before
    (killed / place).rename(killed / "moved")
    with held_folder(killed):
        pass
    found = {path.name: path.read_text() for path in killed.iterdir() if path.name != ".edgerift-files"}
    assert found == {"audit.json": "two", "summary.md": "two", "mine.txt": "mine", "moved": "user's"}


def test_what_the_user_put_in_the_place_of_an_old_file_since_a_kill_stays(killed):
    (killed / "report.html").write_text("user's")
    with pytest.warns(EdgeriftWarning, match=r"report\.html was put there after a run was killed .* it is kept"):
        held_folder(killed).__enter__().close()
    found = {path.name: path.read_text() for path in killed.iterdir() if path.name != ".edgerift-files"}
    assert found == {"audit.json": "two", "summary.md": "two", "mine.txt": "mine", "report.html": "user's"}


def test_what_an_orphan_of_another_folder_staged_is_left_alone(tmp_path):
    hidden = f".out.more.{'0' * 32}.edgerift-staged"
    (tmp_path / hidden).mkdir()
    write(tmp_path / "out", "one")
    assert (tmp_path / hidden).is_dir()
    write(tmp_path / "out.more", "one")
    assert not (tmp_path / hidden).exists()


def test_an_empty_folder_that_was_made_for_nothing_goes(tmp_path):
    with held_folder(tmp_path / "out"):
        pass
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    with held_folder(tmp_path / "out"):
        pass
    assert (tmp_path / "out").is_dir()
