"""Pages of documentation that are followed: their files are written into a copy of the package, which is then used."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

#: Runs what the pages call tests, and prints as JSON what the probe then finds.
_PROBE = """
import contextlib, io, json, pathlib, runpy
import edgerift
from edgerift import cli
root = pathlib.Path(edgerift.__file__).parents[2]
for path in root.glob("tests/**/test_*.py"):
    tests = {name: test for name, test in runpy.run_path(str(path)).items() if name.startswith("test_")}
    assert tests, path
    for test in tests.values():
        test()

def help_of(verb):
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        cli.main([verb, "--help-all"])
    return shown.getvalue()
"""


#: What the title of a block says that is to be added to a file that is there.
_ADDED = ", at its end"


def files_of(page: str) -> dict[str, str]:
    """Read the files that a page shows, and what it adds to one, by the path in their title."""
    text = (ROOT / "docs" / "how-to" / page).read_text()
    return dict(re.findall(r'```python title="([^"]+)"\n(.*?)```', text, flags=re.DOTALL))


def follow(pages: Iterable[str], folder: Path, probe: str) -> Any:
    """Write the pages' files into a copy of the package, run their tests there, and read what a probe prints."""
    shutil.copytree(ROOT / "src" / "edgerift", folder / "src" / "edgerift")
    for name, text in [file for page in pages for file in files_of(page).items()]:
        path = folder / name.removesuffix(_ADDED)
        assert path.exists() is name.endswith(_ADDED), f"{name} is there already, or is not there to be added to"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\n\n{text}" if name.endswith(_ADDED) else text)
    paths = [str(folder / "src"), str(ROOT / "tests" / "helpers")]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _PROBE + probe],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
