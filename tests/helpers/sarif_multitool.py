"""Microsoft's SARIF validator, which npm brings; without npm or its registry there is none."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

PACKAGE = "@microsoft/sarif-multitool"
VERSION = "5.7.0"
_SYSTEMS = {"linux": "linux", "darwin": "darwin", "win32": "win32"}


def install(folder: Path) -> Path | str:
    """Install the validator into a folder; gives the program, or why there is none."""
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed"
    # Its scripts would make the program executable, and no more.
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--prefix", str(folder)]
    done = subprocess.run(
        [npm, "install", *options, f"{PACKAGE}@{VERSION}"], check=False, capture_output=True, text=True, timeout=300
    )
    if done.returncode:
        return f"npm cannot install {PACKAGE}: {done.stderr.strip().splitlines()[-1:]}"
    name = "Sarif.Multitool.exe" if sys.platform == "win32" else "Sarif.Multitool"
    program = folder / "node_modules" / f"{PACKAGE}-{_SYSTEMS[sys.platform]}" / name
    program.chmod(0o755)
    return program


def complaints(program: Path, log: Path, folder: Path) -> Counter[tuple[str, str]]:
    """Validate a log by the standard's rules and GitHub's: how often each rule complained, with its level."""
    found = folder / f"{log.stem}.validated.sarif"
    command = [program, "validate", log, "--rule-kind", "Sarif;Ghas", "--level", "Error;Warning", "--output", found]
    done = subprocess.run(
        [*map(str, command), "--log", "ForceOverwrite"], check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 files scanned" in done.stdout
    [run] = json.loads(found.read_text(encoding="utf-8-sig"))["runs"]
    return Counter((result.get("level", "warning"), result["ruleId"]) for result in run["results"])
