"""The state of a data-free attack between two iterations, on disk."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
import xxhash
from torch import nn

from edgerift.errors import StoreError
from edgerift.store import write_whole

FORMAT: Final = "edgerift-data-free-1"


class Parts(NamedTuple):
    """All that changes while an attack runs, by name, but its replay memory."""

    modules: Mapping[str, nn.Module]
    optimizers: Mapping[str, torch.optim.Optimizer]


class Standing(NamedTuple):
    """How far an attack is: iterations done, images asked about and remembered, its curve, and what it saw since.

    `curve` is JSON; `clone_losses` and `zero_shares` are those of the iterations behind the curve's last point.
    """

    iteration: int
    streamed: int
    remembered: int
    curve: str
    clone_losses: list[float]
    zero_shares: list[float]


def write_state(path: Path, key: str, parts: Parts, standing: Standing) -> None:
    """Write an attack's state, whole or not at all: a line with its format and the XXH3 of what follows, then that."""
    content = {
        "key": key,
        "standing": tuple(standing),
        "modules": {name: module.state_dict() for name, module in parts.modules.items()},
        "optimizers": {name: optimizer.state_dict() for name, optimizer in parts.optimizers.items()},
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_whole(path, _seal(buffer.getvalue()) + buffer.getvalue())


def read_state(path: Path, key: str, parts: Parts) -> Standing | None:
    """Bring an attack's parts to where a checkpoint left them; None where there is none.

    Raises `StoreError` when the file is damaged or belongs to another attack.
    """
    if not path.exists():
        return None
    try:
        seal, _, state = path.read_bytes().partition(b"\n")
        if seal + b"\n" != _seal(state):
            raise ValueError("its checksum is wrong")
        content: dict[str, Any] = torch.load(io.BytesIO(state), map_location="cpu", weights_only=True)
        found, standing = str(content["key"]), Standing(*content["standing"])
    except (RuntimeError, ValueError, KeyError, TypeError, EOFError, OSError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StoreError(f"checkpoint {path} is damaged ({reason}); delete it to start again") from error
    if found != key:
        raise StoreError(
            f"checkpoint {path} belongs to an attack with other settings or another budget; delete it to start again, "
            "or choose another path"
        )
    for name, module in parts.modules.items():
        module.load_state_dict(content["modules"][name])
    for name, optimizer in parts.optimizers.items():
        optimizer.load_state_dict(content["optimizers"][name])
    return standing


def _seal(state: bytes) -> bytes:
    return f"{FORMAT} {xxhash.xxh3_128_hexdigest(state)}\n".encode()
