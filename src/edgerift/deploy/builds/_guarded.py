"""The guard that ships with a build: a small JSON file beside the artefact, bound to its bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from edgerift.deploy.builds._digest import artefact_digest
from edgerift.deploy.builds._runtime import RUNTIMES
from edgerift.errors import BuildError
from edgerift.settings import Document, Settings
from edgerift.specification import Guard
from edgerift.steps import write_whole

_ADVICE: Final = "remove it, or write it again with the build"


class GuardFile(Settings):
    """The content of a guard's file, all that a device needs: it answers if the gap of its two best scores is enough.

    The gap is that of the artefact's two largest outputs or, in the space `log-probabilities`, of their natural
    logarithms; the device answers where it is at least `threshold`. `build` is the SHA-256 of the artefact.
    """

    type: Literal["guard-file"] = "guard-file"
    version: Literal[1] = 1
    build: str
    threshold: float = Field(ge=0)
    space: Literal["logits", "log-probabilities"]


def guard_path(artefact: Path) -> Path:
    """Name the file of an artefact's guard.

    >>> guard_path(Path("model.pte")).name
    'model.pte.guard.json'
    """
    return artefact.with_name(f"{artefact.name}.guard.json")


def ship_guard(guard: Guard | None, runtime: str, artefact: Path) -> None:
    """Write a guard into an artefact of edgerift's, where its runtime's files can hold one, and beside it.

    An ONNX model then has the threshold and the space among its metadata, and the outputs `score_gap` and `answered`.
    None removes the guard from both places.
    """
    content = artefact.read_bytes()
    guarded = guarded_bytes(guard, runtime, content)
    if guarded != content:
        write_whole(artefact, guarded)
    write_guard(guard, runtime, artefact)


def guarded_bytes(guard: Guard | None, runtime: str, content: bytes) -> bytes:
    """Put a guard into the bytes of an artefact, where its runtime's files can hold one."""
    embed = RUNTIMES[runtime].embed_guard
    return content if embed is None else embed(content, guard)


def write_guard(guard: Guard | None, runtime: str, artefact: Path) -> None:
    """Write the guard of an artefact beside it, or remove the one that is there; the artefact stays as it is."""
    if guard is None:
        guard_path(artefact).unlink(missing_ok=True)
        return
    content = GuardFile(build=artefact_digest(runtime, artefact), threshold=guard.threshold, space=guard.space)
    write_whole(guard_path(artefact), content.model_dump_json(indent=2) + "\n")


def read_guard(runtime: str, artefact: Path) -> Guard | None:
    """Read the guard beside an artefact, else the one that it holds; None where there is none.

    Raises :class:`~edgerift.errors.BuildError` for a file that is no guard, or that of another build.
    """
    path = guard_path(artefact)
    if not path.is_file():
        return RUNTIMES[runtime].embedded_guard(artefact)
    content = Document(path, "guard", _ADVICE, BuildError).settings(GuardFile)
    if content.build != artefact_digest(runtime, artefact):
        raise BuildError(f"{path} is the guard of another build than {artefact.name}; {_ADVICE}")
    return Guard(threshold=content.threshold, space=content.space)
