"""The examples run without a warning and end with the result they promise."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
RESULTS = {
    "01_train_and_adapt.py": r"only the original right: \d+, only the build right: \d+$",
    "02_twin_gradient.py": r"along the gradient of the twin: \d+\.\d %",
    "03_fidelity.py": r"onnxruntime +onnxruntime +100\.00% +0\.0 +0\.00%$",
}
SLOW = {"01_train_and_adapt.py", "03_fidelity.py"}


def test_every_example_is_listed() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(RESULTS)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in RESULTS]
)
def test_an_example_prints_its_result(name: str, tmp_path: Path) -> None:
    surroundings = os.environ | {"OMP_NUM_THREADS": "1"}
    finished = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)],
        cwd=tmp_path,
        env=surroundings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert re.search(RESULTS[name], finished.stdout.strip().splitlines()[-1]), finished.stdout
