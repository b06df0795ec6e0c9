"""The latency of answers, in turns with the plain build's."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import torch
from torch import Tensor

from edgerift.defend import Defence, defended

#: The number of answers timed.
TIMED: Final = 200
_WARM: Final = 20


def in_turns(works: Mapping[str, Callable[[int], None]], count: int) -> dict[str, list[float]]:
    """Time each work for each of `count` places, in milliseconds, all of them at one place before the next place.

    Other load on the machine thus slows all of them alike. Every other place has the opposite order, since the first
    one warms the cache for the others. The first calls are made twice and counted once.
    """
    found: dict[str, list[float]] = {name: [] for name in works}
    with torch.inference_mode():
        for place in [*range(min(_WARM, count)), *range(count)]:
            for name, work in list(works.items())[:: -1 if place % 2 else 1]:
                began = time.perf_counter()
                work(place)
                found[name].append(1000 * (time.perf_counter() - began))
    return {name: times[-count:] for name, times in found.items()}


def median_ratio(times: list[float], base: list[float]) -> float:
    """Compute the median of one time over another, each the sum of two neighbouring turns, one in each order.

    >>> median_ratio([3.0, 4.0, 50.0, 60.0, 4.0, 4.0], [1.0, 1.0, 10.0, 10.0, 1.0, 1.0])
    4.0
    """
    whole = len(times) - len(times) % 2 or 1
    pairs = zip(_of_two(times[:whole]), _of_two(base[:whole]), strict=True)
    return statistics.median(one / other for one, other in pairs)


def _of_two(times: list[float]) -> list[float]:
    return [sum(times[place : place + 2]) for place in range(0, len(times), 2)]


def added_milliseconds(answers: Tensor, defences: Sequence[Defence], images: Tensor | None = None) -> float | None:
    """Time the defences on single ones of at most 200 answers `[N,K]` to images: the median; None without defences."""
    if not defences:
        return None

    def change(place: int) -> None:
        one = slice(place, place + 1)
        defended(answers[one], defences, None if images is None else images[one])

    return statistics.median(in_turns({"defences": change}, min(TIMED, len(answers)))["defences"])
