"""How long a classifier takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from edgerift.errors import InputError
from edgerift.measure._logits import Predict


@dataclass(frozen=True, slots=True)
class Latency:
    """The speed of a classifier: medians over `repeats` timed calls each.

    `milliseconds` is the time for a single image, `images_per_second` the throughput in batches of
    `batch_size`.
    """

    milliseconds: float
    images_per_second: float
    batch_size: int
    repeats: int

    def as_dict(self) -> dict[str, float]:
        """Give the medians and how they were taken as plain numbers for JSON."""
        return asdict(self)


@torch.no_grad()
def latency(
    predict: Predict,
    images: Tensor,
    *,
    repeats: int = 30,
    warmup: int = 5,
    batch_size: int = 64,
    clock: Callable[[], float] = time.perf_counter,
) -> Latency:
    """Time `predict` on single images and on batches made from `images` (uint8 `[N,C,H,W]`, N at least 1).

    Each kind has `warmup` calls that are not timed, then `repeats` timed ones that go through the images in
    turn, from the first again after the last. A call ends when its scores are on the CPU, so a GPU is waited
    for. `clock` gives seconds. Raises `InputError` without images or for counts that are too small.
    """
    if len(images) == 0:
        raise InputError("latency was requested for 0 images; at least 1 image is needed")
    if repeats < 1 or warmup < 0 or batch_size < 1:
        raise InputError(
            f"latency with repeats {repeats}, warmup {warmup}, batch size {batch_size}; "
            "allowed: repeats and batch size from 1, warmup from 0"
        )

    def median_seconds(size: int) -> float:
        times = []
        for call in range(warmup + repeats):
            batch = images[torch.arange(call * size, (call + 1) * size) % len(images)]
            start = clock()
            predict(batch).cpu()
            times.append(clock() - start)
        return statistics.median(times[warmup:])

    single, batched = median_seconds(1), median_seconds(batch_size)
    return Latency(1000 * single, batch_size / batched, batch_size, repeats)
