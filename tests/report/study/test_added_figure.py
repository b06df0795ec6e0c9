"""A metric, a figure and a table are added by a line and by a module each, as docs/how-to/add-a-figure.md says."""

from pathlib import Path

from added_parts import code_blocks, run_with

import edgerift

USED = """
from made_study import made_divqat

check_the_gap(made_divqat(("cifar10",), seeds=(0, 1), rows=("qat", "divqat"), students=False, missing=False))
"""


def test_a_module_adds_a_figure_and_a_table_and_a_line_a_metric(tmp_path: Path) -> None:
    metric, figure, table, check = code_blocks("add-a-figure.md")
    readings = Path(edgerift.__file__).parent / "facts" / "readings.py"
    parts = {
        "facts/readings.py": f"{readings.read_text(encoding='utf-8')}\n\n{metric}",
        "report/figures/_gap.py": figure,
        "report/tables/_gap.py": table,
    }
    run_with(parts, check + USED, tmp_path)
