"""The command line itself: its version, its help, its exit codes, and what it says when something breaks."""

import signal
import subprocess
import sys
import time

import pytest

import edgerift
from edgerift.cli import _adapt, _doctor, main
from edgerift.errors import StoreError


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
        (["adapt", "--help"], ["--method", "--target", "--runtime", "--out", "--json", "--control", "--trust"]),
        (["train", "-h"], ["--model", "--epochs", "--out"]),
        (["card", "--help"], ["FOLDER", "--seed", "--trust"]),
        (["extract", "--help"], ["--victim", "--defence", "--queries", "--budget", "--undo", "--thief-epochs"]),
        (["harden", "--help"], ["--victims", "divqat+dcp", "--alpha", "--alphas", "--l1-budget", "--search-steps"]),
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
        ([], "train, adapt, card, audit, replay, extract, harden, defend, study, store, doctor"),
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


def test_ctrl_c_is_one_line_and_130(run, monkeypatch, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_adapt, "adapt_recipe", interrupted)
    code, out, err = run("adapt", "--out", tmp_path)
    assert (code, out) == (130, "")
    assert err == "edgerift: stopped; the same command goes on where this one was\n"


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
    assert err.splitlines()[-1] == "edgerift: stopped; the same command goes on where this one was"
    assert "Traceback" not in err
    assert list((tmp_path / "out").iterdir()) == []
    again = run(*command[3:])
    assert again.code == 0
    assert "epoch 1/30" not in again.err
    assert "epoch 30/30" in again.err
    assert (tmp_path / "out" / "original.safetensors").is_file()
