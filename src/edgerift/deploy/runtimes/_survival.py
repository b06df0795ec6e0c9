"""Whether opening an artefact leaves the process alive: tried in another one, once for each content."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from edgerift.deploy.runtimes import _probe
from edgerift.errors import BuildError

_SECONDS: Final = 300
#: The runtimes and digests of artefacts that were opened by this process or by a child of it.
_SURVIVED: Final[set[tuple[str, str]]] = set()


def note_survival(runtime: str, digest: str) -> None:
    """Remember that an artefact with this SHA-256 has been opened and has answered."""
    _SURVIVED.add((runtime, digest))


def require_survival(runtime: str, path: Path, digest: str) -> None:
    """Open an artefact in a child process, unless its content is known from this one.

    Raises :class:`~edgerift.errors.BuildError` when that ends the child; what else is wrong with it tells who opens it.
    """
    if (runtime, digest) in _SURVIVED:
        return
    command = [sys.executable, "-P", str(_probe.__file__), runtime, str(path)]
    quiet = subprocess.DEVNULL
    try:
        code = subprocess.run(
            command, stdin=quiet, stdout=quiet, stderr=quiet, timeout=_SECONDS, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        raise BuildError(
            f"{runtime} opens {path} for more than {_SECONDS} s; the file is damaged: build again"
        ) from None
    if code < 0:
        raise BuildError(
            f"{path} ends the process that opens it ({_name(-code)} in {runtime}); the file is damaged: build again"
        )
    note_survival(runtime, digest)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
