"""What two processes of one attack do, for the tests to look at: functions for `launch`."""

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from small_thefts import ATTACKS, ITERATIONS, LinearVictim, budget, steal
from torch import nn

from edgerift.errors import BudgetError, InputError
from edgerift.extract import DataFreeClone, Oracle
from edgerift.extract._launch import launch
from edgerift.extract._ranks import Ranks
from edgerift.steps import Progress, silent

RANKS = 2
NAMES = ("dfme", "maze", "maze-dfme", "disguide")


class StoppedError(Exception):
    """The attack was stopped on the way."""


def linear_batch() -> tuple[nn.Linear, torch.Tensor, torch.Tensor]:
    """Make a linear layer, twelve inputs and twelve targets, always the same."""
    draws = torch.Generator().manual_seed(1)
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(2, 3, generator=draws))
        layer.bias.copy_(torch.randn(2, generator=draws))
    return layer, torch.randn(12, 3, generator=draws), torch.randn(12, 2, generator=draws)


def everything(fabric: Any, progress: Progress, folder: Path) -> None:
    """Do all that the tests look at."""
    primitives(fabric, progress, folder)
    thefts(fabric, progress, folder)


def primitives(fabric: Any, progress: Progress, folder: Path) -> None:
    """Note what each process gets from the others."""
    ranks = Ranks(fabric)
    layer, inputs, targets = linear_batch()
    share = slice(ranks.rank, None, RANKS)
    (layer(inputs[share]) - targets[share]).square().mean().backward()
    ranks.average_gradients(layer)
    norm = nn.BatchNorm1d(3)
    norm(inputs[share])
    ranks.average_statistics([norm])
    found = {
        "gradients": [weight.grad for weight in layer.parameters()],
        "statistics": [norm.running_mean, norm.running_var, norm.num_batches_tracked],
        "total": ranks.total(10**9 + ranks.rank),
        "agreed": ranks.agreed(ranks.rank == 0),
        "threads": torch.get_num_threads(),
    }
    torch.save(found, folder / f"primitives-{ranks.rank}.pt")
    progress("primitives", 1, 1, f"told by {ranks.rank}")


def thefts(fabric: Any, progress: Progress, folder: Path) -> None:
    """Steal with each attack in one go, and again with a stop; and note what a wrong number of devices gives."""
    for name in NAMES:
        torch.save(_stolen(fabric, name, folder / f"{name}-whole"), folder / f"{name}-whole-{fabric.global_rank}.pt")
        parts = folder / f"{name}-parts"
        try:
            _stolen(fabric, name, parts, stop=ITERATIONS - 1)
        except StoppedError:
            torch.save(_stolen(fabric, name, parts), folder / f"{name}-parts-{fabric.global_rank}.pt")
        if name == "disguide":
            torn = folder / "torn"
            with contextlib.suppress(StoppedError):
                _stolen(fabric, name, torn, settles=fabric.global_rank == 1)
            torch.save(_stolen(fabric, name, torn), folder / f"{name}-torn-{fabric.global_rank}.pt")
    try:
        unequal = Oracle(LinearVictim(), budget=1000 + fabric.global_rank)
        steal("dfme", unequal, fabric=fabric, devices=RANKS)
    except InputError as error:
        (folder / f"unequal-{fabric.global_rank}").write_text(str(error))
    try:
        steal("dfme", Oracle(LinearVictim(), budget=1000), fabric=fabric)
    except InputError as error:
        (folder / f"error-{fabric.global_rank}").write_text(str(error))


def _stolen(
    fabric: Any, name: str, folder: Path, stop: int | None = None, settles: bool | None = None
) -> dict[str, Any]:
    """Steal; with `settles` until the first checkpoint is written, just behind which this process settles or not."""
    folder.mkdir(exist_ok=True)
    asked = ATTACKS[name].queries

    def progress(task: str, done: int, total: int, note: str = "") -> None:
        assert total == asked * ITERATIONS
        if done == (stop or -1) * asked:
            raise StoppedError

    settle = Oracle.settle

    def die(oracle: Oracle) -> None:
        if settles:
            settle(oracle)
        raise StoppedError

    victim = LinearVictim()
    ledger = folder / f"ledger-{fabric.global_rank}"
    with (
        contextlib.nullcontext() if settles is None else mock.patch.object(Oracle, "settle", die),
        Oracle(victim, budget=budget(name, ITERATIONS) // RANKS, ledger=ledger) as oracle,
    ):
        clone = steal(
            name,
            oracle,
            devices=RANKS,
            fabric=fabric,
            points=2,
            checkpoint=folder / "checkpoint",
            progress=progress,
        )
        return {"spent": oracle.spent, "answered": victim.answered, **_state(clone)}


def _state(clone: DataFreeClone) -> dict[str, Any]:
    return {
        "model": clone.model.state_dict(),
        "generator": clone.generator.state_dict(),
        "curve": [point.model_dump() for point in clone.curve],
    }


def fail(fabric: Any, progress: Progress, rank: int, kind: str) -> None:
    """Fail in one process, while the others wait for it."""
    progress("fail", 1, 2)
    if fabric.global_rank == rank and kind == "edgerift":
        raise BudgetError("too dear") from OSError(28, "full")
    if fabric.global_rank == rank:
        raise ZeroDivisionError("a bug")
    fabric.barrier()
    silent("never reached", 0, 0)


def stay(fabric: Any, progress: Progress, folder: Path) -> None:
    """Note who this is, and wait for longer than a test lasts."""
    (folder / f"process-{fabric.global_rank}").write_text(str(os.getpid()))
    time.sleep(3600)


if __name__ == "__main__":
    import small_ranks

    launch(small_ranks.stay, Path(sys.argv[1]), devices=RANKS, device=torch.device("cpu"), progress=silent)
