"""What a theft will cost in time, told before it starts."""

from __future__ import annotations

import math
import statistics
import time
from typing import TYPE_CHECKING, Final

from edgerift import extract, images, steps, train, zoo
from edgerift._lazy import later
from edgerift.cli._progress import Clock, duration

if TYPE_CHECKING:
    import torch
    from torch.nn import functional as F
else:
    torch, F = later("torch", "torch.nn.functional")

_TIMED_STEPS: Final = 3


def tell_price(
    thefts: list[extract.ExtractRecipe],
    store: steps.Store,
    progress: steps.Progress,
    instead: str,
    clock: Clock = time.perf_counter,
) -> None:
    """Estimate how long the extractions take that are not stored yet, and how to go without: `instead`."""
    lacking = [theft for theft in thefts if not store.has(theft)]
    if not lacking:
        return
    seconds = sum(
        training_seconds(theft.attack, theft.attack.policy.most(theft.budget), theft.queries.images.size or 32, clock)
        for theft in lacking
    )
    epochs, budget = lacking[0].attack.training.epochs, lacking[0].budget
    each = "1 theft" if len(lacking) == 1 else f"{len(lacking)} thefts"
    note = f"{each} of {budget:,} queries, {epochs} epochs each: about {duration(seconds)} on this machine; {instead}"
    progress("theft", 0, 0, note)


def training_seconds(
    attack: extract.Knockoff, queries: int, size: images.Size, clock: Clock = time.perf_counter
) -> float:
    """Estimate how long a clone trains on so many queries of a size in pixels, from a few timed steps."""
    training = attack.training
    device = train.choose_device(training.device)
    student = zoo.create(attack.student, 10, size=size).to(device).train()
    batch = torch.zeros(training.batch_size, 3, *images.extent(size), device=device)
    labels = torch.zeros(training.batch_size, dtype=torch.int64, device=device)
    taken = []
    for _ in range(1 + _TIMED_STEPS):
        began = clock()
        loss = F.cross_entropy(student(batch), labels)
        loss.backward()
        # Reading the value waits for a GPU.
        loss.item()
        taken.append(clock() - began)
    # The first step also pays for what is prepared once.
    return statistics.median(taken[1:]) * math.ceil(queries / training.batch_size) * training.epochs
