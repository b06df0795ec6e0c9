"""Checkpoints: the state of a training in one file with a checksum."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import xxhash

from edgerift.errors import StoreError, first_line
from edgerift.settings import LARGEST_MODEL, Document
from edgerift.steps import require_regular, write_whole


def write_sealed(path: Path, mark: str, content: dict[str, Any]) -> None:
    """Write tensors, numbers and texts, whole or not at all.

    The file is a line of `mark`, which names its format, and the XXH3 of what follows, and then that, as PyTorch saves
    it.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    state = buffer.getvalue()
    write_whole(path, _seal(mark, state) + state)


def read_sealed(path: Path, mark: str) -> dict[str, Any] | None:
    """Read what :func:`write_sealed` wrote, without running any code of it, onto the CPU; None where there is none.

    Raises :class:`~edgerift.errors.StoreError` when the file is damaged, of another format, or not a regular file.
    """
    require_regular(path)
    if not os.path.lexists(path):
        return None
    document = Document(path, "checkpoint", "delete it to start again", StoreError, LARGEST_MODEL)
    seal, _, state = document.content().partition(b"\n")
    try:
        if not seal.startswith(mark.encode() + b" "):
            raise ValueError(f"it does not begin with '{mark}'")
        if seal + b"\n" != _seal(mark, state):
            raise ValueError("its checksum is wrong")
        content = torch.load(io.BytesIO(state), map_location="cpu", weights_only=True)
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}")
    except Exception as error:  # PyTorch's unpickler raises errors of every kind for content that makes no sense.
        raise StoreError(f"checkpoint {path} is damaged ({first_line(error)}); delete it to start again") from error
    return content


@contextmanager
def checkpoint_errors(path: Path) -> Iterator[None]:
    """Turn what content raises that is not a checkpoint's into :class:`~edgerift.errors.StoreError`."""
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
        raise StoreError(f"checkpoint {path} is damaged ({first_line(error)}); delete it to start again") from error


def _seal(mark: str, state: bytes) -> bytes:
    return f"{mark} {xxhash.xxh3_128_hexdigest(state)}\n".encode()
