"""What determines a build's answers: the bytes of its files, the runtime, and the machine."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

import torch

from edgerift.deploy.builds._runtime import RUNTIMES, Artefact, Fingerprint
from edgerift.errors import BuildError
from edgerift.specification import Guard


def fingerprint(runtime: str, version: str, path: Path, guard: Guard | None = None) -> Fingerprint:
    """Fingerprint an artefact and its guard together with the machine that runs it."""
    return Fingerprint(
        runtime=runtime,
        version=version,
        sha256=artefact_digest(runtime, path),
        processor=platform.machine(),
        instructions=torch.backends.cpu.get_cpu_capability(),
        guard=guard,
    )


def artefact_digest(runtime: str, path: Path) -> str:
    """The SHA-256 of an artefact; an ONNX model with external weight files is hashed with all of them inside.

    Raises :class:`~edgerift.errors.BuildError` when a file is missing or lies outside the artefact's folder.
    """
    return hashlib.sha256(whole_artefact(runtime, path)).hexdigest()


def whole_artefact(runtime: str, path: Path) -> bytes:
    """Read an artefact as one file: a model together with its external weights."""
    return read_artefact(runtime, path).content


def read_artefact(runtime: str, path: Path) -> Artefact:
    """Read an artefact, a model together with its external weights; errors are those of :func:`artefact_digest`."""
    try:
        return RUNTIMES[runtime].read(path)
    except OSError as error:
        raise BuildError(f"cannot read {path} ({error.strerror}); give the path of the file") from None
