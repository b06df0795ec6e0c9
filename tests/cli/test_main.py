"""The command line itself: its version, its help, its exit codes, and what it says when something breaks."""

import signal
import subprocess
import sys
import time

import pytest
from rich.console import Group
from rich.table import Table
from rich.text import Text

import edgerift
from edgerift.cli import _adapt, _doctor, main
from edgerift.cli._terminal import progress_bars, show
from edgerift.errors import StoreError
from edgerift.settings import Settings


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version_is_the_packages(run, flag):
    assert run(flag) == (0, f"edgerift {edgerift.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--help"],
            ["train", "adapt", "card", "doctor", "extract", "harden", "defend", edgerift.__doc__.split(":")[0][:40]],
        ),
        (["adapt", "--help-all"], ["--method", "--target", "--runtime", "--out", "--json", "--control", "--trust"]),
        (["train", "-h"], ["--model", "--epochs", "--out"]),
        (["card", "--help"], ["FOLDER", "--seed", "--trust"]),
        (["extract", "--help-all"], ["--victim", "--defence", "--queries", "--budget", "--undo", "--clone-epochs"]),
        (
            ["harden", "--help-all"],
            ["--variants", "divqat+dcp", "--alpha", "--alphas", "--l1-budget", "--search-steps"],
        ),
        (["defend", "--help"], ["--defence", "reverse-sigmoid", "--strengths", "--steal", "--l1-budget"]),
        (["doctor", "--help"], ["--json"]),
        (["store", "--help"], ["ls", "verify", "gc"]),
        (["store", "gc", "--help"], ["--older-than", "--max-size", "--keep", "--unfinished", "--dry-run", "--json"]),
    ],
)
def test_help_is_no_error(run, arguments, words):
    code, out, err = run(*arguments)
    assert (code, err) == (0, "")
    for word in words:
        assert word in out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["adpt"], "adpt"),
        (["doctor", "--jason"], "--jason"),
    ],
)
def test_a_command_that_is_not_known_is_one_line(run, arguments, text):
    assert text in run(*arguments).line()


def breaks(error):
    def diagnose():
        raise error

    return diagnose


def test_an_error_of_our_own_is_told_as_it_is(run, monkeypatch):
    monkeypatch.setattr(_doctor, "diagnose", breaks(StoreError("the store is full")))
    assert run("doctor").line() == "the store is full"


def test_a_mistake_of_ours_is_one_line_too(run, monkeypatch):
    monkeypatch.setattr(_doctor, "diagnose", breaks(ZeroDivisionError("by zero\nand more")))
    code, out, err = run("doctor")
    assert (code, out) == (2, "")
    assert err == (
        "edgerift: internal error, ZeroDivisionError: by zero; EDGERIFT_TRACEBACK=1 shows where, please report it\n"
    )
    monkeypatch.setenv("EDGERIFT_TRACEBACK", "1")
    assert "Traceback" in run("doctor").err


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("two\nlines", "two\\nlines"),
        ("a bell \x07 and red \x1b[31m", "a bell \\x07 and red \\x1b[31m"),
        ("eight bits \x9b2J", "eight bits \\x9b2J"),
        ("\u202eredro", "\\u202eredro"),
        ("half \udcff", "half \\udcff"),
        ("é 日本\N{NO-BREAK SPACE}x", "é 日本\N{NO-BREAK SPACE}x"),
    ],
)
def test_an_error_moves_no_terminal_and_is_one_line(run, monkeypatch, told, shown):
    for error in (StoreError(told), RuntimeError(told.split("\n")[-1])):
        monkeypatch.setattr(_doctor, "diagnose", breaks(error))
        err = run("doctor").err
        assert err.removesuffix("\n").isprintable() or "\N{NO-BREAK SPACE}" in told
        assert (shown if isinstance(error, StoreError) else shown.split("\\n")[-1]) in err


def test_a_message_is_not_endless(run, monkeypatch):
    monkeypatch.setattr(_doctor, "diagnose", breaks(StoreError("a" * 100_000)))
    assert len(run("doctor").line()) < 5000


class Named(Settings):
    name: str


NAME = "a\x1b[31m\x9b\u202e\u2028é\U000e0001"


def test_names_from_files_move_no_terminal_in_json(capsys):
    show(Named(name=NAME), Text(""), as_json=True)
    out = capsys.readouterr().out
    assert all(character.isprintable() for line in out.split("\n") for character in line)
    assert Named.model_validate_json(out).name == NAME


def test_names_from_files_move_no_terminal_in_tables(capsys):
    table = Table(NAME)
    table.add_row(NAME)
    show(Named(name=NAME), Group(table, Text(NAME)), as_json=False)
    out = capsys.readouterr().out
    assert all(character.isprintable() for line in out.split("\n") for character in line)
    assert out.count("\\x1b[31m") == 3


def test_notes_move_no_terminal_and_are_no_markup(capfd):
    with progress_bars() as progress:
        progress("step", 1, 2, f"[/red] {NAME}")
    err = capfd.readouterr().err
    assert "step: [/red] a\\x1b[31m\\x9b\\u202e" in err
    assert "\x1b[31m" not in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["replay", "\udcff.json"], "is not text in UTF-8"),
        (["replay", "a\0b"], "holds a zero character"),
        (["replay", "a" * 300], "(File name too long)"),
        (["audit", "--policy", "/dev/zero"], "(not a regular file)"),
        (["audit", "--policy", "/"], "(Is a directory)"),
        (["audit", "--seed", "9223372036854775807"], "--seed is 9223372036854775807; it must be less than or equal to"),
        (["train", "--out", "x", "--seed", str(10**40)], "--seed"),
        (
            ["train", "--out", "x", "--epochs", "10000000"],
            "--epochs is 10000000; it must be less than or equal to 1000000",
        ),
        (["audit", "--steps", "1000000000"], "--steps is 1000000000; it must be less than or equal to 1000000"),
        (["extract", "--out", "x", "--budget", str(10**13)], "--budget"),
        (["train", "--out", "x", "--batch-size", "9" * 5000], "--batch-size"),
    ],
    ids=lambda value: str(value)[:20].encode("ascii", "replace").decode() if isinstance(value, str) else value[0],
)
def test_names_and_numbers_that_nothing_takes_are_told_in_one_line(run, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    assert told in run(*arguments).line()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_it_is_a_module_that_runs_too():
    command = [sys.executable, "-m", "edgerift", "--version"]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert finished.stdout == f"edgerift {edgerift.__version__}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for another process")
def test_ctrl_c_while_modules_are_imported_is_one_line_and_130():
    # Python tells on standard error when a module was imported.
    command = [sys.executable, "-X", "importtime", "-m", "edgerift", "doctor"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.endswith(" torch._C\n"):
                process.send_signal(signal.SIGINT)
                break
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "edgerift: stopped before anything was done"
    assert "Traceback" not in err


def test_ctrl_c_is_one_line_and_130(run, monkeypatch, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_adapt, "adapt_recipe", interrupted)
    code, out, err = run("adapt", "--out", tmp_path)
    assert (code, out) == (130, "")
    assert err == "edgerift: stopped; run the same command again to resume\n"


def test_the_terminal_is_given_back_after_an_error(capfd, tmp_path):
    before = sys.stdout, sys.stderr
    assert main(["adapt", "--model", "resnet9", "--out", str(tmp_path)]) == 2
    assert (sys.stdout, sys.stderr) == before
    capfd.readouterr()
    subprocess.run(["sh", "-c", "echo out; echo err >&2"], check=True)
    assert capfd.readouterr() == ("out\n", "err\n")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for another process")
def test_a_real_ctrl_c_ends_a_training_and_it_goes_on(run, tmp_path):
    command = [sys.executable, "-c", "import sys; from edgerift.cli import main; sys.exit(main())", "train"]
    command += ["--model", "lenet", "--size", "16", "--epochs", "30", "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "epoch 1/30" in process.stderr.readline()
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "edgerift: stopped; run the same command again to resume"
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()
    again = run(*command[3:])
    assert again.code == 0
    assert "epoch 1/30" not in again.err
    assert "epoch 30/30" in again.err
    assert (tmp_path / "out" / "original.safetensors").is_file()
