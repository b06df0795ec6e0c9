"""A data-free attack that runs: it spends a budget, measures on the way, and resumes after a kill."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, final

import torch
from pydantic import TypeAdapter
from torch import Tensor

from edgerift.errors import ModelError
from edgerift.extract._clones import Vote, make_clones
from edgerift.extract._critic import Critic
from edgerift.extract._curve import CurvePoint, Observe
from edgerift.extract._data_free_settings import DataFree
from edgerift.extract._generator import Generator
from edgerift.extract._iteration import Iteration, Networks, Seen
from edgerift.extract._oracle import Oracle
from edgerift.extract._ranks import Ranks
from edgerift.extract._replay import Replay
from edgerift.extract._state import Standing, read_state, write_state
from edgerift.images import ImageShape, Size, extent
from edgerift.steps import Progress
from edgerift.train import derived_seed, seeded_layers

_SECONDS_BETWEEN_CHECKPOINTS: Final = 60.0
_CURVE: Final = TypeAdapter(tuple[CurvePoint, ...])


@final
class Attacking:
    """An attack that runs: its parts, its checkpoint, and what it saw since the last point of the curve."""

    def __init__(
        self,
        chosen: DataFree,
        victim: Oracle,
        ranks: Ranks,
        *,
        classes: int,
        size: Size,
        grey: bool,
        positives: Tensor | None,
        device: torch.device,
        checkpoint: Path | None,
    ) -> None:
        """Make the networks; raises what :class:`Iteration` does."""
        self._chosen, self._victim, self._ranks, self._device = chosen, victim, ranks, device
        self._checkpoint, self._classes = checkpoint, classes
        self._shape = ImageShape(1 if grey else 3, *extent(size))
        self._asked = chosen.queries // ranks.world_size
        self._total = victim.streamable // self._asked
        # What a process draws is its own, what it begins with is everybody's.
        self._seed = chosen.seed if ranks.rank == 0 else derived_seed(chosen.seed, ranks.rank, "rank")
        networks = _networks(chosen, classes, size, grey)
        for module in networks:
            if module is not None:
                module.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        own = None if positives is None or chosen.positives is None else positives[: chosen.positives.count].to(device)
        self.iteration = Iteration(
            chosen,
            victim,
            networks,
            replay=self._replay(),
            positives=own,
            total=self._total,
            classes=classes,
            ranks=ranks,
        )
        self._seen: list[Seen] = []
        self._key = _key(chosen, classes, size, grey, victim, positives)

    def _replay(self) -> Replay | None:
        if self._chosen.rehearsal is None:
            return None
        file = None
        if self._checkpoint is not None:
            suffix = ".replay" if self._ranks.rank == 0 else f".replay-{self._ranks.rank}"
            file = self._checkpoint.with_name(self._checkpoint.name + suffix)
        # No more can be remembered than was queried.
        capacity = min(self._chosen.rehearsal.capacity // self._ranks.world_size, self._total * self._asked)
        return Replay(max(1, capacity), self._device, file, slack=self._asked)

    def run(self, observe: Observe | None, points: int, progress: Progress) -> tuple[CurvePoint, ...]:
        """Spend the budget, from the beginning or from the checkpoint."""
        first, curve = self._resumed()
        stops = {self._total * number // points for number in range(1, points + 1)}
        written, note, replay = time.monotonic(), "", self.iteration.replay
        for number in range(first, self._total):
            seed = derived_seed(self._seed, number, "data-free")
            with seeded_layers(self._seed, number, self._device):
                self._seen.append(self.iteration(number, torch.Generator(self._device).manual_seed(seed)))
            if number + 1 in stops:
                curve = (*curve, self._point((number + 1) * self._chosen.queries, observe))
                note = _note(curve[-1])
            is_late = self._checkpoint is not None and self._ranks.agreed(
                time.monotonic() - written > _SECONDS_BETWEEN_CHECKPOINTS
            )
            is_due = replay is not None and replay.is_due(self._asked)
            if number + 1 in stops or is_late or is_due:
                self._write(number + 1, curve)
                written = time.monotonic()
            progress("steal", (number + 1) * self._chosen.queries, self._total * self._chosen.queries, note)
        return curve

    def _point(self, queries: int, observe: Observe | None) -> CurvePoint:
        clone_losses, zero_shares = _columns(self._seen)
        if not math.isfinite(sum(clone_losses)):
            raise ModelError(f"the clones' loss is not finite after {queries} queries; use a lower learning rate")
        self._seen = []
        measured = None
        if observe is not None and self._ranks.rank == 0:
            self.iteration.clones.eval()
            # Whoever measures may make images with it, and in training mode that changes it.
            measured = observe(self.iteration.clones, copy.deepcopy(self.iteration.generator))
            self.iteration.clones.train()
        return CurvePoint(
            queries=queries,
            clone_loss=statistics.fmean(clone_losses),
            zero_share=statistics.fmean(zero_shares) if zero_shares else None,
            measured=measured,
        )

    def _resumed(self) -> tuple[int, tuple[CurvePoint, ...]]:
        """Go back to the checkpoint; without one, to the beginning."""
        iteration = self.iteration
        found = None if self._checkpoint is None else read_state(self._checkpoint, self._key, iteration.parts)
        if found is None:
            self._victim.seek(0)
            return 0, ()
        self._victim.seek(found.streamed)
        if iteration.replay is not None:
            kind = torch.uint8 if self._victim.pixels == "whole" else torch.float32
            image, answer = torch.zeros(1, *self._shape, dtype=kind), torch.zeros(1, self._classes)
            iteration.replay.restore(found.remembered, image, answer)
        self._seen = _seen(found.clone_losses, found.zero_shares, self._device)
        return found.iteration, _CURVE.validate_json(found.curve)

    def _write(self, done: int, curve: tuple[CurvePoint, ...]) -> None:
        if self._checkpoint is None:
            return
        replay = self.iteration.replay
        if replay is not None:
            replay.flush()
        clone_losses, zero_shares = _columns(self._seen)
        standing = Standing(
            iteration=done,
            streamed=self._victim.streamed,
            remembered=0 if replay is None else replay.added,
            curve=_CURVE.dump_json(curve).decode(),
            clone_losses=clone_losses,
            zero_shares=zero_shares,
        )
        # All have to be here before one of them says so, and know it before they drop what was before.
        self._ranks.wait()
        if self._ranks.rank == 0:
            write_state(self._checkpoint, self._key, self.iteration.parts, standing)
        self._ranks.wait()
        # Only now will the attack never go back behind here.
        self._victim.settle()


def _networks(chosen: DataFree, classes: int, size: Size, grey: bool) -> Networks:
    clones = Vote(make_clones(chosen.student, chosen.clones, classes, size, derived_seed(chosen.seed, 0, "clone")))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derived_seed(chosen.seed, 0, "generator"))
        made = Generator(chosen.latent, size, affine=chosen.affine, width=chosen.width, grey=grey)
        return Networks(made, clones, Critic() if chosen.positives else None)


def _key(chosen: DataFree, classes: int, size: Size, grey: bool, victim: Oracle, positives: Tensor | None) -> str:
    facts = [chosen.model_dump_json(), classes, size, grey, victim.streamable, victim.pixels]
    digest = hashlib.sha256(json.dumps(facts).encode())
    if positives is not None:
        digest.update(positives.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _columns(seen: Sequence[Seen]) -> tuple[list[float], list[float]]:
    losses = [each.clone_loss for each in seen]
    shares = [each.zero_share for each in seen if each.zero_share is not None]
    return _listed(losses), _listed(shares)


def _listed(values: list[Tensor]) -> list[float]:
    found: list[float] = torch.stack(values).tolist() if values else []
    return found


def _seen(clone_losses: Sequence[float], zero_shares: Sequence[float], device: torch.device) -> list[Seen]:
    losses, shares = (torch.tensor(values, device=device) for values in (clone_losses, zero_shares))
    return [Seen(loss, shares[number] if zero_shares else None) for number, loss in enumerate(losses)]


def _note(point: CurvePoint) -> str:
    text = f"clone loss {point.clone_loss:.3f}"
    return text if point.measured is None else f"{text}, error {point.measured.error:.1%}"
