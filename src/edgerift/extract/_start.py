"""The weights that a clone starts from: those of another network of the same architecture."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import final

from pydantic import Field

from edgerift import zoo
from edgerift.errors import ModelError
from edgerift.settings import Document, Settings


@final
class Start(Settings):
    """A file that :func:`edgerift.zoo.save` wrote, identified by the SHA-256 of its bytes, wherever it lies."""

    sha256: str
    path: Path = Field(default=Path(), validate_default=False, exclude=True)


def start_from(path: Path | str) -> Start:
    """Name the weights in a file; raises :class:`~edgerift.errors.InputError` where it cannot be read."""
    return Start(sha256=_digest(Path(path)), path=Path(path))


def started(blank: zoo.Classifier, start: Start) -> zoo.Classifier:
    """Give a new network the weights of a file, but for layers of another size, such as that of other classes.

    Raises :class:`~edgerift.errors.ModelError` for a file of another architecture, or one that has changed.
    """
    if _digest(start.path) != start.sha256:
        raise ModelError(f"{start.path} has changed since the attack was described; name it again")
    given = zoo.load(start.path)
    if given.architecture.name != blank.architecture.name:
        raise ModelError(
            f"{start.path} is a {given.architecture.name}, the clone a {blank.architecture.name}; clone with "
            f"--student {given.architecture.name}, or start from another file"
        )
    own, found = blank.state_dict(), given.state_dict()
    fitting = {name: found[name] for name in own if name in found and found[name].shape == own[name].shape}
    blank.load_state_dict(fitting, strict=False)
    return blank


def _digest(path: Path) -> str:
    return hashlib.sha256(Document(path, "start of the clone", "give a .safetensors file").content()).hexdigest()
