"""Thefts and comparisons that are killed at random moments, and end as if nobody had."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from small_pair import SmallPair
from tiny_steps import results, surroundings
from tiny_study import leftovers

KILLS = 20
THIEF = ["--student", "lenet", "--size", "12"]
TRAINING = ["--clone-epochs", "2", "--clone-batch-size", "32"]
VERBS = {
    "extract": ["extract", "--budget", "200", *THIEF, *TRAINING],
    "extract without images": ["extract", "--attack", "disguide", "--budget", "2000", "--curve-points", "3", *THIEF],
    "harden": [
        "harden",
        *("--model", "lenet", "--epochs", "2", "--adapt-epochs", "1"),
        *("--variants", "ptq", "--budget", "100", "--alpha", "1", *THIEF, *TRAINING),
    ],
}


def command(verb: str, pair: SmallPair, folder: Path) -> list[str]:
    program = [sys.executable, "-c", "import sys; from edgerift.cli import main; sys.exit(main())"]
    source = [] if verb == "harden" else ["--adapted", str(pair.folder)]
    return [*program, *VERBS[verb], *source, "--store", str(folder / "store"), "--out", str(folder / "out")]


def finish(verb: str, pair: SmallPair, folder: Path) -> float:
    began = time.monotonic()
    done = subprocess.run(command(verb, pair, folder), capture_output=True, text=True, timeout=600, env=surroundings())
    assert done.returncode == 0, done.stderr
    return time.monotonic() - began


def kill_after(verb: str, pair: SmallPair, folder: Path, seconds: float) -> bool:
    """Start a run, kill it after so long, and tell whether it was still there."""
    with subprocess.Popen(
        command(verb, pair, folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=surroundings()
    ) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
    return process.returncode == -signal.SIGKILL


def content(folder: Path) -> dict[str, Any]:
    """Every file of a result's folder; a document without what was measured by the clock, a page not at all."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".json":
            found[path.name] = timeless(json.loads(path.read_text()))
        elif path.is_file() and path.suffix not in (".html", ".md"):
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        left = {name: each for name, each in value.items() if name != "times" and not name.endswith("_milliseconds")}
        return {name: timeless(each) for name, each in left.items()}
    return [timeless(each) for each in value] if isinstance(value, list) else value


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL")
@pytest.mark.parametrize("verb", VERBS)
def test_runs_killed_at_random_moments_end_the_same(small_pair: SmallPair, tmp_path: Path, verb: str) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(verb, small_pair, whole)
    seconds = finish(verb, small_pair, tmp_path / "timed")
    draw, deaths = random.Random(verb), 0
    for number in range(KILLS):
        if kill_after(verb, small_pair, killed, draw.uniform(0.3, 1) * seconds):
            deaths += 1
        else:
            # It came to its end: another one from the beginning.
            compare(killed, whole)
            killed = tmp_path / f"killed-{number}"
    assert deaths >= KILLS // 2
    finish(verb, small_pair, killed)
    compare(killed, whole)


def compare(folder: Path, whole: Path) -> None:
    assert content(folder / "out") == content(whole / "out")
    assert results(folder / "store") == results(whole / "store")
    assert leftovers(folder / "store") == []
