"""`edgerift doctor`: what works here."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from typing import TYPE_CHECKING, ClassVar, Literal

from rich.table import Table

import edgerift
from edgerift import deploy, steps
from edgerift._lazy import later
from edgerift.cli._fields import Command
from edgerift.cli._options import Json
from edgerift.cli._terminal import show
from edgerift.errors import MissingRuntimeError, StoreError
from edgerift.settings import Settings

if TYPE_CHECKING:
    import torch
else:
    torch = later("torch")


class Finding(Settings):
    """One check: whether it works, and what was found or how to fix it."""

    name: str
    works: bool
    detail: str


class Diagnosis(Settings):
    """What `edgerift doctor --json` prints."""

    type: Literal["diagnosis"] = "diagnosis"
    version: Literal[1] = 1
    edgerift: str
    python: str
    platform: str
    findings: tuple[Finding, ...]


class Doctor(Command):
    """Check which runtimes and devices work on this machine."""

    example: ClassVar[str] = "edgerift doctor"

    as_json: Json = False

    def run(self) -> int:
        """Check each and show a table; the exit code is 0, whatever was found."""
        diagnosis = diagnose()
        show(diagnosis, _table(diagnosis), self.as_json)
        return 0


def diagnose() -> Diagnosis:
    """Check the runtimes, the devices, the compiler and the folders."""
    runtimes = [_runtime(name) for name in deploy.RUNTIMES.names()]
    return Diagnosis(
        edgerift=edgerift.__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        findings=(*runtimes, *_engines(), _compiler(), _device(), _store()),
    )


def _runtime(name: str) -> Finding:
    label = f"runtime {name}"
    try:
        runtime = deploy.find_runtime(name)
    except MissingRuntimeError as error:
        return Finding(name=label, works=False, detail=str(error))
    lacking = runtime.missing()
    if lacking is not None:
        return Finding(name=label, works=False, detail=lacking)
    package = runtime.packages[0]
    version, targets = importlib.metadata.version(package), " and ".join(runtime.targets)
    return Finding(name=label, works=True, detail=f"{package} {version}, target {targets}")


def _engines() -> list[Finding]:
    capability = torch.backends.cpu.get_cpu_capability()
    return [
        Finding(name="torch", works=True, detail=f"{torch.__version__}, {torch.get_num_threads()} threads"),
        Finding(name="processor", works=True, detail=f"{platform.machine()}, {capability}"),
    ]


def _compiler() -> Finding:
    found = shutil.which("c++") or shutil.which("g++")
    detail = found or "not found; torch.compile and inductor builds need one: apt-get install g++"
    return Finding(name="C++ compiler", works=found is not None, detail=detail)


def _device() -> Finding:
    if torch.cuda.is_available():
        return Finding(name="CUDA", works=True, detail=torch.cuda.get_device_name())
    return Finding(name="CUDA", works=False, detail="no device; everything runs on the CPU")


def _store() -> Finding:
    root = steps.default_root()
    try:
        steps.require_writable(root)
    except StoreError as error:
        return Finding(name="store", works=False, detail=f"{error}; EDGERIFT_STORE names another folder")
    return Finding(name="store", works=True, detail=str(root))


def _table(diagnosis: Diagnosis) -> Table:
    table = Table(title=f"edgerift {diagnosis.edgerift}, Python {diagnosis.python}", title_justify="left")
    for heading in ("", "works", "detail"):
        table.add_column(heading)
    for finding in diagnosis.findings:
        table.add_row(finding.name, "yes" if finding.works else "no", finding.detail)
    return table
