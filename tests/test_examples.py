"""The examples end with the result they promise, and the pages' Python runs; both without a warning."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgerift.zoo import names

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
PAGES = ["README.md", "docs/quickstart.md", "docs/images.md", "docs/store.md"]
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
RESULTS = {
    "01_train_and_adapt.py": r"only the original right: \d+, only the build right: \d+$",
    "02_twin_gradient.py": r"along the gradient of the twin: \d+\.\d %",
    "03_fidelity.py": r"onnxruntime +onnxruntime +100\.00% +0\.0 +0\.00%$",
    "04_evade.py": r"^default +[\d.]+ % \[[\d., ]+\] \(\d+ of \d+\) +[\d.]+% +1$",
    "05_own_objective.py": r"\d+\.png: label (\d), original \1, build (?!\1)\d$",
    "06_steal.py": r"^reverse sigmoid, undone +1\.[\d]+ +[\d.]+% +[\d.]+% +[\d.]+%$",
    "07_harden.py": r"^misleading, l1 0\.6 +0\.[\d]+ +[\d.]+% +[\d.]+% +[\d.]+%$",
    "08_study.py": r"^default +[\d.]+% \[[-\d.]+%, [-\d.]+%\] over 3 seeds$",
    "09_steal_without_images.py": r"^the clone's error is [\d.]+%, its agreement with the build [\d.]+%$",
    "10_bring_your_own.py": r"^exit codes: audits 1 and 1, replay 0$",
    "11_one_file_three_kernels.py": r"^driven apart: [1-9]\d* of 40 images, replay 0$",
    "12_attackers_without_models.py": r"^answers and 1000 queries: [\d.]+% evasive, judged once; .* p = [\d.]+$",
    "13_flip_bits.py": r"^one flip changes the checksum of \['[\w.]+'\]$",
    "14_prune_and_distil.py": r"^zeros by layer of the pruned model: (?:79\.\d|80\.0)% to 80\.0%$",
    "15_differ_without_labels.py": r"^of [1-9]\d* differences the build is wrong in \d+, the original in \d+, both in",
    "16_robust_training.py": r"^trades +[\d.]+% +[\d.]+% +[\d.]+% +[\d.]+% +[\d.]+%$",
}
_FROM_EIGHT = ("eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen")
NUMBERS = dict(enumerate(_FROM_EIGHT, 8))
SLOW = RESULTS.keys() - {"02_twin_gradient.py"}


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_a_page_counts_the_architectures_right(page: str) -> None:
    counted = re.findall(r"(\w+) architectures and your own", (ROOT / page).read_text())
    assert [word.lower() for word in counted] == [NUMBERS[len(names())]]


def test_every_example_is_listed() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(RESULTS)
    (counted,) = re.findall(r"(\w+) scripts in \[examples\]", (ROOT / "README.md").read_text())
    assert counted.lower() == NUMBERS[len(RESULTS)]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in RESULTS]
)
def test_an_example_prints_its_result(name: str, tmp_path: Path) -> None:
    printed = run(EXAMPLES / name, tmp_path)
    assert re.search(RESULTS[name], printed.strip().splitlines()[-1]), printed


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_runs(page: str, tmp_path: Path) -> None:
    program = "\n".join(BLOCK.findall((ROOT / page).read_text()))
    assert "er." in program
    (tmp_path / "page.py").write_text(program.replace("epochs=30", "epochs=1").replace("epochs=3", "epochs=1"))
    run(tmp_path / "page.py", tmp_path)


def run(script: Path, folder: Path) -> str:
    finished = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout
