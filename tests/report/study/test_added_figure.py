"""A metric, a figure and a table are added by a line and by a module each, as docs/how-to/add-a-figure.md says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import made_study

import edgerift

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "add-a-figure.md"

USED = """
from made_study import made_divqat

check_the_gap(made_divqat(("cifar10",), seeds=(0, 1), rows=("qat", "divqat"), students=False, missing=False))
"""


def test_a_module_adds_a_figure_and_a_table_and_a_line_a_metric(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    metric, figure, table, check = blocks
    copy = tmp_path / "edgerift"
    shutil.copytree(Path(edgerift.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / "facts" / "readings.py").open("a", encoding="utf-8") as file:
        file.write(f"\n\n{metric}")
    (copy / "report" / "figures" / "_gap.py").write_text(figure, encoding="utf-8")
    (copy / "report" / "tables" / "_gap.py").write_text(table, encoding="utf-8")
    places = os.pathsep.join([str(tmp_path), str(Path(made_study.__file__).parent)])
    command = [sys.executable, "-W", "error", "-c", check + USED]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": places}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
