"""Count the lines of modules and functions, and fail where one is too long: `python tools/sizes.py [FOLDER]`.

A function goes from its first decorator to its end, with its docstring; a nested function counts again on its own.
What is over a limit fails; the median and the 90th percentile are goals, which are only printed.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

MODULE = 300
FUNCTION = 50
MEDIAN_MODULE = 110
P90_FUNCTION = 20


class Size(NamedTuple):
    """How long something is, and where it stands."""

    lines: int
    place: str


def main() -> int:
    """Print the sizes and whatever is over a limit; the exit code is 1 if anything is."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "src/edgerift")
    modules, functions = sizes(root)
    if len(functions) < 2:
        sys.exit(f"{root} has no functions to count; give the folder of a package")
    print(_told("module", modules, "median", median(size.lines for size in modules), MEDIAN_MODULE))
    p90 = quantiles((size.lines for size in functions), n=10, method="inclusive")[-1]
    print(_told("function", functions, "90th percentile", p90, P90_FUNCTION))
    over = [(size, MODULE) for size in modules if size.lines > MODULE]
    over += [(size, FUNCTION) for size in functions if size.lines > FUNCTION]
    for size, limit in sorted(over, reverse=True):
        print(f"{size.place}: {size.lines} lines, at most {limit}")
    return 1 if over else 0


def sizes(root: Path) -> tuple[list[Size], list[Size]]:
    """Count the lines of the modules below a folder, and of the functions in them."""
    modules, functions = [], []
    for path in sorted(root.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        modules.append(Size(text.count("\n"), str(path)))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
                lines = (node.end_lineno or node.lineno) - first + 1
                functions.append(Size(lines, f"{path}:{node.lineno} {node.name}"))
    return modules, functions


def _told(kind: str, found: list[Size], measure: str, value: float, goal: int) -> str:
    most = max(found)
    return f"{len(found)} {kind}s: {measure} {value:g} (goal {goal}), longest {most.lines} ({most.place})"


if __name__ == "__main__":
    sys.exit(main())
