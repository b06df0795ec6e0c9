"""The store's own verbs."""

import contextlib
import io
import json
import os
import shutil
import time

import pytest

from edgerift.cli import main
from edgerift.cli._store import bytes_of, seconds_of
from edgerift.errors import InputError

TRAIN = ("train", "--model", "lenet", "--epochs", "1", "--size", "12", "--json")


@pytest.fixture(scope="module")
def two_trainings(tmp_path_factory):
    """A folder with a store of two trainings, and what they have written."""
    folder = tmp_path_factory.mktemp("trained")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for seed in ("0", "1"):
            places = ("--store", str(folder / "kept"), "--out", str(folder / f"out-{seed}"))
            assert main([*TRAIN, "--seed", seed, *places]) == 0
    return folder


@pytest.fixture
def trained(two_trainings, tmp_path):
    """A store with two trainings, the first of them old; its folder and their names."""
    shutil.copytree(two_trainings, tmp_path, dirs_exist_ok=True)
    folder = tmp_path / "kept"
    first, second = sorted(folder.glob("train-*"), key=lambda path: path.stat().st_mtime)
    then = time.time() - 7 * 86400
    os.utime(first, (then, then))
    return folder, first.name, second.name


def flip(path, place=40):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_ls_tells_what_is_kept(run, trained):
    folder, first, second = trained
    listed = run("store", "ls", "--store", folder, "--json").json()
    assert [(entry["name"], entry["state"]) for entry in listed["entries"]] == [
        (first, "finished"),
        (second, "finished"),
    ]
    sizes = [sum(path.stat().st_size for path in (folder / name).iterdir()) for name in (first, second)]
    assert [entry["size"] for entry in listed["entries"]] == sizes
    assert listed["size"] == sum(sizes)
    text = run("store", "ls", "--store", folder)
    assert first in text.out
    assert "2 entries" in text.out


def test_verify_finds_a_flipped_byte_and_the_same_command_refuses_it(run, trained, tmp_path):
    folder, first, _ = trained
    assert run("store", "verify", "--store", folder).code == 0
    flip(folder / first / "original.safetensors")
    again = (*TRAIN, "--seed", "0", "--store", folder, "--out", tmp_path / "again")
    message = run(*again).line()
    assert f"the result {first} is damaged: original.safetensors has changed since it was written" in message
    assert f"delete {folder / first} and run again" in message
    found = run("store", "verify", "--store", folder, "--json")
    assert found.code == 1
    told = json.loads(found.out)
    assert [(entry["name"], entry["removed"]) for entry in told["damaged"]] == [(first, False)]
    assert told["intact"] == 1
    assert run("store", "verify", "--store", folder, "--remove").code == 1
    assert run("store", "verify", "--store", folder).code == 0
    whole = (tmp_path / "out-0" / "original.safetensors").read_bytes()
    assert run(*again).code == 0
    assert (tmp_path / "again" / "original.safetensors").read_bytes() == whole


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        (["--older-than", "3d"], [0]),
        (["--older-than", "8d"], []),
        (["--max-size", "0KB"], [0, 1]),
        (["--max-size", "150KB"], [0]),
        (["--max-size", "1GB"], []),
        (["--older-than", "3d", "--max-size", "1KB"], [0, 1]),
        (["--keep", "FIRST"], [1]),
        (["--keep", "FIRST", "--max-size", "0KB"], [1]),
        (["--keep", "FILE", "--keep", "SECOND"], []),
    ],
    ids=str,
)
def test_gc_removes_what_it_said_it_would(run, trained, options, gone):
    folder, *names = trained
    places = {"FIRST": names[0], "SECOND": names[1], "FILE": str(folder / names[0] / "recipe.json")}
    command = ("store", "gc", "--store", folder, "--json", *(places.get(option, option) for option in options))
    would = run(*command, "--dry-run").json()
    assert all((folder / name).is_dir() for name in names)
    did = run(*command).json()
    assert [entry["name"] for entry in did["removed"]] == [names[number] for number in gone]
    assert {**would, "dry_run": False} == did
    assert [(folder / name).is_dir() for name in names] == [number not in gone for number in range(2)]


def test_gc_leaves_unfinished_work_unless_it_is_asked_for(run, trained):
    folder, first, _ = trained
    (folder / first).rename(folder / ".work" / first)
    for options, stays in (((), True), (("--unfinished", "--keep", first), True), (("--unfinished",), False)):
        assert run("store", "gc", "--store", folder, "--max-size", "0KB", *options).code == 0
        assert (folder / ".work" / first).exists() == stays


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gc"], "nothing to choose by; give --older-than"),
        (["gc", "--older-than", "30"], "--older-than is '30'; it must be a number followed by m, h, d or w"),
        (["gc", "--max-size", "20 gigabytes"], "--max-size is '20 gigabytes'"),
        (["gc", "--keep", "nothing"], "--keep nothing is neither a result in"),
    ],
    ids=str,
)
def test_wrong_input_is_told_in_one_line(run, trained, arguments, words):
    assert words in run("store", *arguments, "--store", trained[0]).line()


@pytest.mark.parametrize("verb", [["ls"], ["verify"], ["gc", "--max-size", "1GB"]], ids=str)
def test_there_has_to_be_a_store(run, tmp_path, verb):
    message = run("store", *verb, "--store", tmp_path / "nothing").line()
    assert f"there is no store at {tmp_path / 'nothing'}" in message
    assert not (tmp_path / "nothing").exists()


def test_times_and_sizes_are_read():
    assert [seconds_of(text) for text in ("90m", "12h", "1.5d", "8w")] == [5400, 43200, 129600, 4838400]
    assert [bytes_of(text) for text in ("0KB", "1.5GB", "2KiB", "1TB")] == [0, 1_500_000_000, 2048, 10**12]
    for text in ("", "d", "-1d", "1y", "1e9d", "nan", "1 d"):
        with pytest.raises(InputError):
            seconds_of(text)
        with pytest.raises(InputError):
            bytes_of(text)
