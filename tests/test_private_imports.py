"""Tests enter a package by its public names; its private modules are for the tests in its own folder."""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent

#: Searches are cut into small parts by a constant of theirs, so that a run is stopped in the middle of one.
ALLOWED = {("audit/test_recipe.py", "edgerift.evade._recipe"), ("run/test_needs.py", "edgerift.evade._recipe")}


def imported(path: Path) -> Iterator[str]:
    """List the private modules of edgerift that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith("edgerift."):
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                if any(part.startswith("_") for part in name.split(".")[2:]):
                    yield name
                    break


def users(helper: Path) -> set[str]:
    """Name the folders of the tests that import a helper."""
    files = [path for path in TESTS.rglob("*.py") if path.parent.name != "helpers"]
    return {str(path.relative_to(TESTS).parts[0]) for path in files if helper.stem in path.read_text()}


def test_private_modules_are_imported_in_the_folder_of_their_package_alone() -> None:
    wrong = []
    for path in TESTS.rglob("*.py"):
        place = str(path.relative_to(TESTS))
        folders = users(path) if path.parent.name == "helpers" else {place.split("/")[0]}
        for name in imported(path):
            if folders != {name.split(".")[1]} and (place, name) not in ALLOWED:
                wrong.append((place, name))
    assert wrong == []
