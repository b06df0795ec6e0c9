"""Checkpoints: what changes while something trains, in one file with a checksum."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch
import xxhash

from edgerift.errors import StoreError, first_line
from edgerift.store import require_regular, write_whole


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

    Raises :class:`~edgerift.errors.StoreError` when the file is damaged, of another format, or no regular file.
    """
    require_regular(path)
    if not path.exists():
        return None
    try:
        seal, _, state = path.read_bytes().partition(b"\n")
    except OSError as error:
        raise StoreError(f"checkpoint {path} cannot be read: {error.strerror}") from error
    try:
        if not seal.startswith(mark.encode() + b" "):
            raise ValueError(f"it does not begin with '{mark}'")
        if seal + b"\n" != _seal(mark, state):
            raise ValueError("its checksum is wrong")
        content: dict[str, Any] = torch.load(io.BytesIO(state), map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise StoreError(f"checkpoint {path} is damaged ({first_line(error)}); delete it to start again") from error
    return content


def _seal(mark: str, state: bytes) -> bytes:
    return f"{mark} {xxhash.xxh3_128_hexdigest(state)}\n".encode()
