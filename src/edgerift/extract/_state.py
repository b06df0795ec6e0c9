"""The state of a data-free attack between two iterations, on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import nn

from edgerift.errors import StoreError
from edgerift.train import checkpoint_errors, read_sealed, write_sealed

FORMAT: Final = "edgerift-data-free-1"


class Parts(NamedTuple):
    """All that changes while an attack runs, by name, but its replay memory."""

    modules: Mapping[str, nn.Module]
    optimizers: Mapping[str, torch.optim.Optimizer]


class Standing(NamedTuple):
    """How far an attack is: iterations done, images queried and remembered, its curve, and what it saw since.

    `curve` is JSON; `clone_losses` and `zero_shares` are those of the iterations behind the curve's last point.
    """

    iteration: int
    streamed: int
    remembered: int
    curve: str
    clone_losses: list[float]
    zero_shares: list[float]


def write_state(path: Path, key: str, parts: Parts, standing: Standing) -> None:
    """Write an attack's state, whole or not at all."""
    content = {
        "key": key,
        "standing": tuple(standing),
        "modules": {name: module.state_dict() for name, module in parts.modules.items()},
        "optimizers": {name: optimizer.state_dict() for name, optimizer in parts.optimizers.items()},
    }
    write_sealed(path, FORMAT, content)


def read_state(path: Path, key: str, parts: Parts) -> Standing | None:
    """Bring an attack's parts to where a checkpoint left them; None where there is none.

    Raises `StoreError` when the file is damaged or belongs to another attack.
    """
    content = read_sealed(path, FORMAT)
    if content is None:
        return None
    if content.get("key") != key:
        raise StoreError(
            f"checkpoint {path} belongs to an attack with other settings or another budget; delete it to start again, "
            "or choose another path"
        )
    with checkpoint_errors(path):
        for name, module in parts.modules.items():
            module.load_state_dict(content["modules"][name])
        for name, optimizer in parts.optimizers.items():
            optimizer.load_state_dict(content["optimizers"][name])
        return Standing(*content["standing"])
