"""How many source files an addition touches: those whose code names an exemplar of its kind.

`python tools/additions.py` prints the table of CONTRIBUTING.md; `--old DIR` adds a column for another tree's
`src/edgerift`. A file counts where a name, an attribute or a string in its code is the exemplar's; comments and
docstrings do not count.
"""

from __future__ import annotations

import argparse
import ast
import functools
import re
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "edgerift"

#: What is added, and an expression that matches the names of one that is there.
ADDITIONS = {
    "an attack preset": r"mi-fgsm",
    "an attack objective": r"pair-margin|PairMargin",
    "a thief without images": r"disguide",
    "a defence of the answers": r"deception|Deception",
    "a training defence": r"mislead|MisleadingTargets",
    "a runtime": r"inductor|InductorBuild",
    "an architecture": r"densenet_tiny",
    "a study figure": r"has_epsilon|draw_epsilon|epsilon_words",
    "a measured figure of a theft": r"slowdown|SLOWDOWN",
}


@functools.cache
def names_in(path: Path) -> frozenset[str]:
    """Collect the names of a module's code; see :func:`names_of`."""
    return frozenset(names_of(path.read_text(encoding="utf-8")))


def names_of(source: str) -> set[str]:
    """Collect the names, attributes and strings of a module's code, without its docstrings and its imports."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = set()
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            texts.add(id(node.body[0].value))  # type: ignore[attr-defined]
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg | ast.keyword) and node.arg is not None:
            found.add(node.arg)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts:
            found.add(node.value)
    return found


def touched(expression: str, source: Path) -> list[Path]:
    """List the modules whose code names what the expression matches as a whole."""
    known = re.compile(expression)
    return sorted(
        path
        for path in source.rglob("*.py")
        if any(known.fullmatch(name) for name in names_in(path))
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--old", type=Path, help="another tree's src/edgerift, for a column of its own")
    parser.add_argument("--files", action="store_true", help="list the files, too")
    options = parser.parse_args()
    columns = ["0.1", "now"] if options.old else ["now"]
    print(f"| addition | {' | '.join(columns)} |\n|---|{'--:|' * len(columns)}")
    for addition, expression in ADDITIONS.items():
        trees = [options.old, SOURCE] if options.old else [SOURCE]
        found = [touched(expression, tree) for tree in trees]
        print(f"| {addition} | {' | '.join(str(len(files)) for files in found)} |")
        for path in found[-1] if options.files else ():
            print(f"    {path.relative_to(SOURCE)}")


if __name__ == "__main__":
    main()
