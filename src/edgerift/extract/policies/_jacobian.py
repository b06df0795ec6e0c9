"""Jacobian-based augmentation: from few images, by steps along the gradient of a substitute."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field

from edgerift import images as image_sets
from edgerift import measure, zoo
from edgerift._lazy import later
from edgerift.errors import BudgetError, InputError
from edgerift.extract._query_policy import Asking, QueryPolicy, query_policy
from edgerift.settings import Count, Times

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from edgerift.extract import _ledger as ledger
    from edgerift.images import ImageSet
else:
    torch, ledger = later("torch", "edgerift.extract._ledger")

_BATCH: Final = 256


@query_policy
class JacobianPolicy(QueryPolicy):
    """Start from `seeds` images, and double them in every round (Papernot et al. 2017, arXiv:1602.02697).

    In each of the `rounds` but the last a substitute is trained for `epochs` on what was answered so far, and every
    image x gives another one: x + c * step * sign(d log p_t(x) / dx), with the substitute's probability of a class t,
    clipped and of whole grey levels. `seeds * 2**(rounds - 1)` images are queried, fewer where two are the same or the
    budget ends, which then pays for a random choice of the last round's.

    - `towards="label"`: t is the victim's answer and c is 1, and the sign turns after every `flip_every` rounds; None
      keeps it. `away`: c is -1. `random-class`: t is another class, drawn by the attack's seed, and c is 1.
    - `step` is in grey levels: 26 is the paper's 0.1.
    - `version` is that of the images made: what another one stole is no result of this one.
    """

    type: Literal["jacobian"] = "jacobian"
    version: Literal[2] = 2
    seeds: Count = 150
    rounds: Annotated[int, Field(ge=1, le=30)] = 6
    step: Annotated[int, Field(ge=1, le=255)] = 26
    towards: Literal["label", "away", "random-class"] = "label"
    flip_every: Times | None = 3
    epochs: Times = 10

    def collect(self, asking: Asking) -> tuple[ImageSet, Tensor]:
        """Ask about the seeds, and round by round about what the substitute makes of all images so far."""
        generator = torch.Generator().manual_seed(asking.seed)
        start = torch.randperm(len(asking.queries), generator=generator)[: self.seeds]
        known = asking.queries.images[start]
        images = _new(known, known[:0], asking, generator)
        if len(images) == 0:
            raise BudgetError(f"no image can be queried with a budget of {asking.victim.budget}; give a larger one")
        answers = asking.read(asking.victim.ask(images, asking.progress), _as_set(asking.queries, images))
        for number in range(self.rounds - 1):
            substitute = asking.learn(_as_set(asking.queries, images), answers, self.epochs)
            moved = self._moved(substitute, images, answers, number, generator)
            new = _new(moved, images, asking, generator)
            if len(new) == 0:
                break
            given = asking.read(asking.victim.ask(new, asking.progress), _as_set(asking.queries, new))
            answers = torch.cat([answers, given])
            images = torch.cat([images, new])
        return _as_set(asking.queries, images), answers

    def most(self, budget: int) -> int:
        """Count what the rounds make, or the budget."""
        return min(budget, self.seeds << (self.rounds - 1))

    def _moved(
        self, substitute: nn.Module, images: Tensor, answers: Tensor, number: int, generator: torch.Generator
    ) -> Tensor:
        classes = answers.shape[1]
        if classes < 2:
            raise InputError("a victim with one class has no direction to move images in; use the random policy")
        wanted = answers.argmax(1)
        if self.towards == "random-class":
            wanted = (wanted + torch.randint(1, classes, wanted.shape, generator=generator)) % classes
        module = measure.LogitsModule(zoo.taking(substitute, image_sets.shape_of(images)), "the substitute")
        parts = zip(images.split(_BATCH), wanted.split(_BATCH), strict=True)
        signs = torch.cat([_signs(module, part, labels) for part, labels in parts])
        return (images.float() + self._coefficient(number) * self.step * signs).clamp_(0, 255).to(torch.uint8)

    def _coefficient(self, number: int) -> int:
        if self.towards != "label":
            return -1 if self.towards == "away" else 1
        return 1 if self.flip_every is None or number // self.flip_every % 2 == 0 else -1


def _signs(module: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Compute the sign of the gradient of the labels' log-probability at uint8 images."""
    shown = image_sets.to_float(images).requires_grad_(True)
    logits, rows = module(shown), labels[:, None]
    # Of log p / (1 - p): its gradient is that of log p over 1 - p, which is 0 in float32 where p is near 1.
    odds = logits.gather(1, rows)[:, 0] - logits.scatter(1, rows, -torch.inf).logsumexp(1)
    (gradient,) = torch.autograd.grad(odds.sum(), shown)
    return gradient.sign()


def _new(made: Tensor, known: Tensor, asking: Asking, generator: torch.Generator) -> Tensor:
    """Keep the images that are not known, each once, and of these as many as can be paid for, drawn at random."""
    keys, places = ledger.image_keys(made), []
    seen = set(ledger.image_keys(known)) if len(known) else set()
    for place, key in enumerate(keys):
        if key not in seen:
            seen.add(key)
            places.append(place)
    order = torch.randperm(len(places), generator=generator).tolist()
    count = asking.victim.affordable([keys[places[number]] for number in order])
    return made[torch.tensor(sorted(places[number] for number in order[:count]), dtype=torch.int64)]


def _as_set(queries: ImageSet, images: Tensor) -> ImageSet:
    like = queries.select(torch.zeros(len(images), dtype=torch.int64))
    content = hashlib.sha256(b"".join(ledger.image_keys(images))).hexdigest()[:32]
    return replace(like, images=images, fingerprint=content, groups=None)
