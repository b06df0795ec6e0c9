"""Runs of a study that are killed at random moments, and go on."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny_study
from tiny_steps import results, surroundings
from tiny_study import leftovers, run_here, tiny_goals

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL")


def test_runs_killed_at_two_moments_end_the_same(tmp_path):
    program = [sys.executable, tiny_study.__file__, "0", "2", tmp_path]
    done = subprocess.run(program, capture_output=True, text=True, timeout=600, env=surroundings())
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 2


def command(folder, place, file=None, profile="tiny"):
    program = [sys.executable, "-c", "import sys; from edgerift.cli import main; sys.exit(main())", "study", "run"]
    options = ["--profile", profile, "--store", folder / "store", "--out", folder / "out", "--threads", "1"]
    return [*program, file or tiny_study.tiny_study(folder), *options, "--on", *place]


def finish(folder, place):
    """Run to the end; returns what was said on standard output."""
    return end(command(folder, place), folder)


def end(program, folder):
    done = subprocess.run(program, capture_output=True, text=True, timeout=1200, env=surroundings())
    assert done.returncode == 0, done.stderr
    assert leftovers(folder / "store") == []
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("place", [("here",), ("processes", "--workers", "2")], ids=["here", "processes"])
def test_a_command_killed_at_ten_moments_ends_the_same(tmp_path, place):
    whole = tmp_path / "whole"
    whole.mkdir()
    run_here(tiny_goals(whole), whole / "store")
    expected = results(whole / "store")
    began = time.monotonic()
    finish(whole, place)
    idle = time.monotonic() - began
    assert "Nothing to do" in finish(whole, place)
    folder = tmp_path / "timed"
    folder.mkdir()
    began = time.monotonic()
    finish(folder, place)
    seconds = time.monotonic() - began
    draw, killed = random.Random(place[0]), 0
    for number in range(30):
        folder = tmp_path / str(number)
        folder.mkdir()
        process = subprocess.Popen(
            command(folder, place), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=surroundings()
        )
        # Not before anything is built.
        time.sleep(draw.uniform(idle / 2, seconds))
        process.kill()
        if process.wait() != -signal.SIGKILL:
            # It was at its end already: the machine has less else to do than it had before.
            seconds = max(0.9 * seconds, idle)
            continue
        finish(folder, place)
        assert results(folder / "store") == expected, number
        killed += 1
        if killed == 10:
            return
    pytest.fail(f"only {killed} runs were killed before their end")


@pytest.mark.slow
def test_a_smoke_run_killed_at_twenty_moments_ends_the_same(tmp_path):
    """One run of a paper's study goes on twenty times, each time after a kill -9."""
    file = Path(__file__).parents[2] / "studies" / "diva.yaml"
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    programs = {folder: command(folder, ("processes", "--workers", "2"), file, "smoke") for folder in (whole, killed)}
    began = time.monotonic()
    end(programs[whole], whole)
    share = (time.monotonic() - began) / 20
    draw = random.Random(0)
    for number in range(20):
        process = subprocess.Popen(
            programs[killed], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=surroundings()
        )
        # A run needs some seconds to begin; so the moments are all over the work, and rarely behind its end.
        time.sleep(draw.uniform(0.5 * share, 1.5 * share))
        process.kill()
        assert process.wait() == -signal.SIGKILL, f"the run was at its end before the {number}-th kill"
    end(programs[killed], killed)
    expected = results(whole / "store")
    found = results(killed / "store")
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
