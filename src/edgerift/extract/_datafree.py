"""The data-free attacks: a victim is stolen through its answers, without an image of its kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from edgerift.errors import InputError
from edgerift.extract._clones import Vote
from edgerift.extract._curve import CurvePoint, Observe
from edgerift.extract._data_free_settings import AttackName, DataFree
from edgerift.extract._datafree_run import Attacking
from edgerift.extract._generator import Generator
from edgerift.extract._oracle import Oracle
from edgerift.extract._ranks import Ranks
from edgerift.images import Size, extent, read_size
from edgerift.measure import data_frame
from edgerift.steps import Progress, silent
from edgerift.train import choose_device, repeatable

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from pandas import DataFrame


_Module = TypeVar("_Module", bound=nn.Module)


class DataFreeClone(NamedTuple):
    """A model stolen without images, in evaluation mode, on the CPU, and how it was stolen.

    `model` answers images `[N,C,H,W]` in [0, 1] with logits `[N,K]`; its `clones` are one or several. `generator` made
    the queries.
    """

    model: Vote
    generator: Generator
    curve: tuple[CurvePoint, ...]

    def frame(self) -> DataFrame:
        """Return a pandas data frame with one row for each point of the curve.

        Columns: `queries`, `clone_loss` and `zero_share`, as in :class:`CurvePoint`, and `error`, `disagreement` and
        `divergence`, as in :class:`Measured`; NaN for what was not measured.
        """
        points = self.curve
        measured = ("error", "disagreement", "divergence")
        return data_frame(
            {
                "queries": [point.queries for point in points],
                **{name: [getattr(point, name) for point in points] for name in ("clone_loss", "zero_share")},
                **{name: [getattr(point.measured, name, None) for point in points] for name in measured},
            }
        )


def data_free(
    victim: Oracle,
    attack: AttackName | DataFree,
    *,
    classes: int,
    size: Size,
    grey: bool = False,
    positives: Tensor | None = None,
    observe: Observe | None = None,
    points: int = 20,
    checkpoint: Path | None = None,
    progress: Progress = silent,
    fabric: Fabric | None = None,
    **settings_fields: Any,
) -> DataFreeClone:
    """Steal a victim of `classes` classes that takes images of a size, without any image of its kind.

    As many iterations as the victim's budget is enough for; see :class:`DataFree` for the attacks, whose fields
    `settings_fields` are. With `grey`, for a victim of grey images, the generator makes nothing else. `positives` uint8
    `[N,C,H,W]` are the attacker's own images, for MAZE-PD. `observe` measures the clone at `points` of the budget;
    nothing is selected by it. With `checkpoint`, and a ledger behind the victim, a killed attack resumes to the same
    clone, and pays for no image twice; the file, and a replay memory beside it, are the caller's to remove.

    On several `devices` each process calls this with its own oracle, a victim behind its share of the budget and a
    ledger of its own, with the same `checkpoint` and everything else alike, and with the `fabric` that launched it.
    All of them get the same clone; the first one observes, writes the checkpoint and has the curve.

    Raises :class:`~edgerift.errors.InputError` for a budget below one iteration's, positives that do not fit, a
    victim of other classes, and what :meth:`Oracle.stream` raises.
    """
    chosen, ranks = _chosen(attack, settings_fields), Ranks(fabric)
    _require_budget(chosen, ranks, victim)
    _require_points(points)
    _require_positives(chosen, positives, read_size(size), grey=grey)
    device = choose_device(chosen.device)
    with repeatable(device):
        attacker = Attacking(
            chosen,
            victim,
            ranks,
            classes=classes,
            size=read_size(size),
            grey=grey,
            positives=positives,
            device=device,
            checkpoint=checkpoint,
        )
        curve = attacker.run(observe, points, progress)
    iteration = attacker.iteration
    return DataFreeClone(_at_rest(iteration.clones), _at_rest(iteration.generator), curve)


def _at_rest(module: _Module) -> _Module:
    """Bring a module that has learned to the CPU, in evaluation mode and without gradients."""
    module.zero_grad(set_to_none=True)
    return module.to("cpu", memory_format=torch.contiguous_format).eval().requires_grad_(False)  # type: ignore[call-overload,no-any-return]


def _require_budget(chosen: DataFree, ranks: Ranks, victim: Oracle) -> None:
    """Make sure that every process has its share of the attack, and enough of the budget for one iteration."""
    if ranks.world_size != chosen.devices:
        raise InputError(
            f"devices={chosen.devices}, and {ranks.world_size} processes run the attack; give a fabric that was "
            "launched on as many devices, or let DataFreeRecipe launch it"
        )
    if not ranks.is_same(victim.streamable):
        raise InputError(f"a budget of {victim.streamable} here and another in another process; give all the same")
    asked = chosen.queries // ranks.world_size
    if victim.streamable < asked:
        raise InputError(
            f"a budget of {victim.streamable}; one iteration of {chosen.name} takes {asked} queries; give "
            "a larger budget, or a smaller batch_size"
        )


def _chosen(attack: AttackName | DataFree, fields: dict[str, Any]) -> DataFree:
    if isinstance(attack, DataFree):
        return attack.replace(**fields)
    return DataFree.model_validate({"name": attack, **fields})


def _require_points(points: int) -> None:
    if points < 1:
        raise InputError(f"points={points}; the clone is measured at 1 place of the budget at least")


def _require_positives(chosen: DataFree, positives: Tensor | None, size: Size, *, grey: bool) -> None:
    if chosen.positives is None:
        if positives is not None:
            raise InputError("positives were given, and the attack uses none; set its field positives")
        return
    height, width = extent(size)
    allowed = [("uint8", (channels, height, width)) for channels in (1, 3)]
    shape = None if positives is None else (str(positives.dtype).removeprefix("torch."), tuple(positives.shape[1:]))
    if positives is None or shape not in allowed or len(positives) < chosen.positives.count:
        given = "none" if positives is None else f"{len(positives)} of {shape}"
        raise InputError(
            f"the attack uses {chosen.positives.count} images of the attacker's own, uint8 "
            f"[N,{1 if grey else 3},{height},{width}]; got {given}"
        )
