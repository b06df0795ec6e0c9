"""Whether opening an artefact crashes the process: tried in a child process, once per content."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import torch

from edgerift.deploy.builds import _probe
from edgerift.deploy.builds._runtime import RUNTIMES
from edgerift.errors import BuildError

_SECONDS: Final = 300
#: The signals that a process causes itself; every other one comes from outside.
_OWN_FAULTS: Final = frozenset(
    getattr(signal, name) for name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL") if hasattr(signal, name)
)
#: The runtimes and digests of artefacts that were opened by this process or by a child of it.
_SURVIVED: Final[set[tuple[str, str]]] = set()


def note_survival(runtime: str, digest: str) -> None:
    """Remember that an artefact with this SHA-256 has been opened and has answered."""
    _SURVIVED.add((runtime, digest))


def has_survived(runtime: str, digest: str) -> bool:
    """Return whether an artefact with this SHA-256 has been opened before, by this process or a child of it."""
    return (runtime, digest) in _SURVIVED


def require_survival(runtime: str, path: Path) -> None:
    """Open an artefact in a child process.

    Raises :class:`~edgerift.errors.BuildError` when that crashes the child, and when it could not be tried; other
    errors of the file are raised on opening it.
    """
    chosen = RUNTIMES[runtime]
    arguments = [str(chosen.opening), str(path), str(torch.get_num_threads()), chosen.kernels]
    # What this process can import, the child can: also from folders that were put into `sys.path` by hand.
    command = [sys.executable, "-P", str(_probe.__file__), *arguments, *(str(folder) for folder in sys.path if folder)]
    quiet = subprocess.DEVNULL
    try:
        child = subprocess.run(
            command,
            stdin=quiet,
            stdout=quiet,
            stderr=subprocess.PIPE,
            timeout=_SECONDS,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        raise BuildError(
            f"{runtime} opens {path} for more than {_SECONDS} s; the file is damaged: build again"
        ) from None
    except OSError as error:
        raise _untried(path, f"no other process starts ({error.strerror})", "start edgerift again") from None
    if child.returncode not in (_probe.OPENED, _probe.REFUSED):
        raise _failure(runtime, path, child.returncode, child.stderr)


def _failure(runtime: str, path: Path, code: int, told: str) -> BuildError:
    """Describe how a child ended early: by the file, from outside, or before it began."""
    if code == _probe.NOT_IMPORTED:
        return _untried(path, f"{runtime} cannot be imported: {_last_line(told)}", "install it again")
    if -code in _OWN_FAULTS:
        return BuildError(
            f"{path} ends the process that opens it ({_name(-code)} in {runtime}); the file is damaged: build again"
        )
    if code < 0:
        memory = ", as the system does where memory is short" if _name(-code) == "SIGKILL" else ""
        return _untried(path, f"{_name(-code)} ended it from outside{memory}", "open it again")
    return _untried(path, f"it ended with status {code}: {_last_line(told)}", "build again, or install it again")


def _untried(path: Path, reason: str, action: str) -> BuildError:
    return BuildError(f"{path} could not be tried in a process of its own ({reason}); {action}")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it said nothing"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
