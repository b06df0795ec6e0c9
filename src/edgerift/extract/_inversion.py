"""Undoing a defence that the attacker knows: a learned map from defended to clean posteriors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from edgerift.defend import Defence, defended
from edgerift.errors import InputError

Inversion: TypeAlias = Callable[[Tensor], Tensor]

_STEPS: Final = 1500
_BATCH: Final = 512
_WIDTH: Final = 128
#: Logits are drawn with a standard deviation between these, so that flat and sharp posteriors both occur.
_SPREADS: Final = (0.3, 10.0)
_FLOOR: Final = 1e-6


class Pairs(NamedTuple):
    """Clean posteriors float32 `[N,K]`, and the defended ones that they become."""

    clean: Tensor
    changed: Tensor


def made_up_pairs(defences: Sequence[Defence], classes: int, generator: torch.Generator, batches: int = 1) -> Pairs:
    """Apply defences to posteriors that nobody gave: softmax of normal logits, in batches of 512."""
    clean = torch.cat([_drawn(classes, generator) for _ in range(batches)])
    return Pairs(clean, defended(clean, defences))


def learn_inversion(
    defences: Sequence[Defence], classes: int, *, seed: int = 0, pairs: Pairs | None = None
) -> Inversion:
    """Learn to undo known defences: a map from defended posteriors float32 `[N,K]` to clean ones.

    An attacker that knows which defence runs, and its settings, applies it to made-up posteriors, softmax of
    normal logits with a standard deviation drawn between 0.3 and 10, and trains a small network on the pairs: D-DAE of
    Chen et al. 2023 (arXiv:2302.11672) without shadow models. With `pairs`, such as those of shadow models, it learns
    from these alone. Where a defence maps several posteriors to one, the network answers near their mean. Raises
    :class:`~edgerift.errors.InputError` for fewer than two classes or without a defence.
    """
    require_invertible(defences, classes)
    chain = tuple(defences)
    generator = torch.Generator().manual_seed(seed)
    network = _network(classes, generator)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _STEPS)
    with torch.enable_grad():
        for _ in range(_STEPS):
            clean, changed = made_up_pairs(chain, classes, generator) if pairs is None else _chosen(pairs, generator)
            found = _logits(network, changed)
            loss = -(clean * found.log_softmax(1)).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    network.requires_grad_(False).eval()

    def invert(answers: Tensor) -> Tensor:
        with torch.inference_mode():
            found = torch.cat([_logits(network, part).softmax(1) for part in answers.split(4096)])
        return found.clone()

    return invert


def require_invertible(defences: Sequence[Defence], classes: int) -> None:
    """Raise `InputError` for fewer than two classes or without a defence."""
    if classes < 2 or not defences:
        raise InputError(f"an inversion for {classes} classes and {len(defences)} defences; needed: 2 or more, and 1")


def _chosen(pairs: Pairs, generator: torch.Generator) -> Pairs:
    places = torch.randint(len(pairs.clean), (_BATCH,), generator=generator)
    return Pairs(pairs.clean[places], pairs.changed[places])


def _drawn(classes: int, generator: torch.Generator) -> Tensor:
    low, high = (torch.tensor(spread).log() for spread in _SPREADS)
    spread = (low + (high - low) * torch.rand(_BATCH, 1, generator=generator)).exp()
    return (spread * torch.randn(_BATCH, classes, generator=generator)).softmax(1)


def _logits(network: nn.Module, answers: Tensor) -> Tensor:
    # The network corrects the answer's own logarithms, so that a defence that does nothing is undone from the start.
    logarithms = answers.clamp_min(_FLOOR).log()
    corrected: Tensor = logarithms + network(torch.cat([answers, logarithms / 5], 1))
    return corrected


def _network(classes: int, generator: torch.Generator) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        network = nn.Sequential(
            nn.Linear(2 * classes, _WIDTH),
            nn.ReLU(),
            nn.Linear(_WIDTH, _WIDTH),
            nn.ReLU(),
            nn.Linear(_WIDTH, classes),
        )
    last = network[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return network
