"""Hashes of pixel windows: queries that almost repeat one another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final, Literal, final

from pydantic import Field

from edgerift._lazy import later
from edgerift.defend._monitor import Monitor, Verdict, Watch, monitor
from edgerift.settings import Count, Seed

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor
else:
    np, torch = later("numpy", "torch")

#: How many hashes stand for an image, and the base of the rolling hash, odd so that all of its powers differ.
_HASHES: Final = 50
_BASE: Final = 0x9E3779B97F4A7C15


@final
@monitor
class Fingerprints(Monitor):
    """Alarm when over `share` of the last `window` queries almost repeat an earlier one, by hashes of their pixels.

    After Blacklight (Li et al. 2022, https://arxiv.org/abs/2006.14042), which looks for queries of an evasion: pixels
    are rounded to steps of `step` grey levels, each run of `length` numbers is hashed, and the 50 smallest hashes stand
    for the image. It repeats another one when they share at least `matches` of them. No image is kept, only hashes,
    those of the last `remembered` queries, salted with `seed`.

    It finds attacks whose queries differ by a little from one another, such as finite differences (DFME, MAZE). Steps
    of some grey levels along a clone's gradient (JBDA) change every window, and natural images do not repeat, so
    neither raises an alarm; a still camera does.
    """

    type: Literal["fingerprints"] = "fingerprints"
    title = "Fingerprints"
    share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    window: Count = 100
    step: Annotated[int, Field(ge=1, le=255)] = 50
    length: Count = 20
    matches: Annotated[int, Field(ge=1, le=_HASHES)] = 25
    remembered: Count = 100_000
    seed: Seed = 0

    def start(self) -> Watch:
        """Begin to watch a client."""
        return _Repeats(self)


@final
class _Repeats(Watch):
    """The hashes of earlier queries, and which of the last ones repeated one."""

    def __init__(self, settings: Fingerprints) -> None:
        self._settings = settings
        self._places: dict[int, list[int]] = {}
        self._hashes: list[list[int]] = []
        self._recent: list[bool] = []
        self._asked, self._first, self._alarm_at = 0, 0, -1

    def watch(self, images: Tensor, answers: Tensor) -> Verdict:
        """Look at each image."""
        for hashes in self._fingerprints(images):
            self._recent = [*self._recent, self._repeats(hashes)][-self._settings.window :]
            self._remember(hashes)
            self._asked += 1
            whole = len(self._recent) == self._settings.window
            if whole and self._alarm_at < 0 and self._rate() > self._settings.share:
                self._alarm_at = self._asked
        alarm_at = None if self._alarm_at < 0 else self._alarm_at
        rate = self._rate() if len(self._recent) == self._settings.window else None
        return Verdict(alarm_at is not None, rate, self._asked, alarm_at)

    def state(self) -> Mapping[str, Tensor]:
        """Return what has been seen."""
        rows = torch.full((len(self._hashes), _HASHES), -1, dtype=torch.int64)
        for row, hashes in zip(rows, self._hashes, strict=True):
            row[: len(hashes)] = torch.tensor(hashes)
        return {
            "counts": torch.tensor([self._asked, self._first, self._alarm_at]),
            "recent": torch.tensor(self._recent, dtype=torch.bool),
            "hashes": rows,
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take up the watch from a state."""
        asked, first, alarm_at = (int(number) for number in state["counts"])
        self._places, self._hashes, self._first = {}, [], first
        for row in state["hashes"].tolist():
            self._remember([value for value in row if value >= 0])
        self._recent = state["recent"].tolist()
        self._asked, self._alarm_at = asked, alarm_at

    def _rate(self) -> float:
        return sum(self._recent) / len(self._recent)

    def _repeats(self, hashes: list[int]) -> bool:
        shared: dict[int, int] = {}
        for value in hashes:
            for place in self._places.get(value, ()):
                shared[place] = shared.get(place, 0) + 1
        # An image of few different windows has fewer hashes.
        needed = min(self._settings.matches, len(hashes))
        return max(shared.values(), default=0) >= needed

    def _remember(self, hashes: list[int]) -> None:
        for value in hashes:
            self._places.setdefault(value, []).append(self._first + len(self._hashes))
        self._hashes.append(hashes)
        if len(self._hashes) > self._settings.remembered:
            for value in self._hashes.pop(0):
                places = self._places[value]
                places.remove(self._first)
                if not places:
                    del self._places[value]
            self._first += 1

    def _fingerprints(self, images: Tensor) -> list[list[int]]:
        length = self._settings.length
        powers = np.array([pow(_BASE, place, 2**64) for place in range(length)], np.uint64)
        salt = np.uint64(pow(_BASE, self._settings.seed + 1, 2**64))
        levels = (images.flatten(1).numpy() // self._settings.step).astype(np.uint64) + np.uint64(1)
        places = max(1, levels.shape[1] - length + 1)
        sums = np.zeros((len(levels), places), np.uint64)
        for offset, power in enumerate(powers[: levels.shape[1]]):
            sums += levels[:, offset : offset + places] * power
        sums ^= salt
        mixed = (sums ^ (sums >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        kept = (mixed ^ (mixed >> np.uint64(32))) >> np.uint64(1)
        return [np.unique(row)[:_HASHES].astype(np.int64).tolist() for row in kept]
