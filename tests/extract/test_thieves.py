"""Thieves that are killed, whatever they do at that moment."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import edgerift

PROGRAM = [sys.executable, str(Path(__file__).with_name("thieves.py"))]
HELPERS = Path(__file__).parents[1] / "helpers"


def surroundings() -> dict[str, str]:
    # The same edgerift as here, and the helpers.
    places = [str(Path(edgerift.__file__).parents[1]), str(HELPERS)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1"}


def test_a_thief_killed_at_any_touch_of_a_file_goes_on_without_paying_twice(tmp_path: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "points", str(tmp_path)], capture_output=True, text=True, timeout=120, env=surroundings()
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_thief_killed_again_and_again_ends(tmp_path: Path, seed: int) -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        from thieves import BUDGET, check  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    draw = random.Random(seed)
    kills = 0
    while True:
        with subprocess.Popen([*PROGRAM, "steal", str(tmp_path)], env=surroundings()) as thief:
            begun = tmp_path / "answered"
            size = begun.stat().st_size if begun.exists() else 0
            while thief.poll() is None and not (begun.exists() and begun.stat().st_size > size):
                time.sleep(0.0005)
            time.sleep(draw.uniform(0, 0.02))
            thief.send_signal(signal.SIGKILL)
        if thief.returncode == 0:
            break
        kills += 1
        assert kills < 60
        check(tmp_path, kills)
    assert kills
    assert check(tmp_path, kills) == BUDGET
