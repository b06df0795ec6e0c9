"""Copies of the package with a part added to them, as the pages under docs/how-to tell a contributor to."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import edgerift

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"


def code_blocks(page: str) -> list[str]:
    """List the Python blocks of a page."""
    return re.findall(r"```python\n(.*?)```", (HOW_TO / page).read_text(encoding="utf-8"), flags=re.DOTALL)


def run_with(parts: Mapping[str, str], code: str, folder: Path) -> str:
    """Run code in a process whose edgerift has these files as well, by their paths in the package; gives its output."""
    copy = folder / "package" / "edgerift"
    shutil.copytree(Path(edgerift.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in parts.items():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).write_text(text, encoding="utf-8")
    places = [str(copy.parent), str(Path(__file__).parent)]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(places)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
