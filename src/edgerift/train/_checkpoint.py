"""The state of a run between two epochs, on disk."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from edgerift.errors import StoreError
from edgerift.images import ImageSet
from edgerift.train._history import History, read_history
from edgerift.train._sealed import checkpoint_errors, read_sealed, write_sealed
from edgerift.train._settings import TrainSettings

FORMAT = "edgerift-training-2"


class Progressed(NamedTuple):
    """The progress of a run: epochs done and their measurements."""

    epochs: int
    history: History


def run_key(
    model: nn.Module,
    train: ImageSet,
    validation: ImageSet | None,
    targets: Tensor | None,
    settings: TrainSettings,
) -> str:
    """Identify a run by all that determines its result: settings, images, targets and initial weights.

    The loss and the hooks are code and cannot be part of it.
    """
    digest = hashlib.sha256()
    facts = [
        settings.model_dump_json(),
        train.fingerprint,
        asdict(train.augmentation),
        None if validation is None else validation.fingerprint,
    ]
    digest.update(json.dumps(facts, sort_keys=True).encode())
    tensors = {**model.state_dict(), **({} if targets is None else {"targets of the run": targets})}
    for name, tensor in tensors.items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def write_checkpoint(
    path: Path, key: str, model: nn.Module, optimizer: torch.optim.Optimizer, done: Progressed
) -> None:
    """Write model, optimizer and history after an epoch, whole or not at all."""
    content = {
        "key": key,
        "epochs": done.epochs,
        "history": done.history.as_json(),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    write_sealed(path, FORMAT, content)


def read_checkpoint(path: Path, key: str, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progressed | None:
    """Restore model and optimizer from a checkpoint; None where there is none.

    Raises `StoreError` when the file is damaged or belongs to another run: it is never overwritten.
    """
    content = read_sealed(path, FORMAT)
    if content is None:
        return None
    if content.get("key") != key:
        raise StoreError(
            f"checkpoint {path} belongs to a run with other settings, images or first weights; "
            "delete it to start again, or choose another path"
        )
    with checkpoint_errors(path):
        model.load_state_dict(content["model"])
        optimizer.load_state_dict(content["optimizer"])
        return Progressed(int(content["epochs"]), read_history(content["history"]))


def _bytes(tensor: Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()
