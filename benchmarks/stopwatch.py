"""CPU time: of contenders that take turns, and of the parts of one search (models, judges, the rest)."""

from __future__ import annotations

import gc
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from edgerift.deploy import module_logits
from edgerift.evade import Steering, Victim, _judge, _verification


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Time one call: CPU seconds and its answer.

    What other contenders imported or left behind is collected before, and is no part of any collection during the call.
    """
    gc.collect()
    gc.freeze()
    started = time.process_time()
    answer = work()
    return time.process_time() - started, answer


def in_turns(works: dict[str, Callable[[], Any]], turns: int) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Run every work once a turn; returns the seconds of each and the last answers."""
    spent: dict[str, list[float]] = {name: [] for name in works}
    answers = {}
    for _ in range(turns):
        for name, work in works.items():
            seconds, answers[name] = timed(work)
            spent[name].append(seconds)
    return spent, answers


def ratios(spent: dict[str, list[float]], base: str) -> dict[str, float]:
    """The median over the turns of each work's time over the base's in the same turn."""
    return {
        name: statistics.median(own / raw for own, raw in zip(times, spent[base], strict=True))
        for name, times in spent.items()
    }


class Stopwatch:
    """Adds up the seconds of one search's parts; `total` is the whole search."""

    def __init__(self) -> None:
        """Start from nothing."""
        self.seconds: dict[str, float] = defaultdict(float)
        self.total = 0.0

    def timed(self, part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Make a function that counts its time under `part`."""

        def run(*arguments: Any, **named: Any) -> Any:
            started = time.process_time()
            answer = work(*arguments, **named)
            self.seconds[part] += time.process_time() - started
            return answer

        return run

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what happens inside: the models that steer, the original that judges, and the files that are judged.

        What a victim answers is counted by its wrapper.
        """
        patches = {
            (torch.autograd, "grad"): self.timed("backward", torch.autograd.grad),
            (_verification, "from_png"): self.timed("judges", _verification.from_png),
            (_judge, "module_logits"): lambda *given: self.timed("judges", module_logits(*given)),
            (Steering, "on_logits"): lambda steering, bare=Steering.on_logits: self.steering(bare(steering)),
        }
        started = time.process_time()
        with ExitStack() as stack:
            for (owner, name), timed in patches.items():
                stack.enter_context(mock.patch.object(owner, name, timed))
            yield
        self.total += time.process_time() - started

    def steering(self, steering: Steering) -> Steering:
        """Count the forward passes of the modules that steer."""
        return Steering(_Watched(steering.original, self), tuple(_Watched(each, self) for each in steering.adapted))

    def victim(self, victim: Victim) -> Victim:
        """Count the judges of a victim."""
        return _WatchedVictim(victim, self)

    def share(self, part: str) -> float:
        """The part's share of the whole time."""
        return self.seconds[part] / self.total

    def rest(self) -> float:
        """The share of the whole time that no part has."""
        return 1 - sum(self.seconds.values()) / self.total


class _Watched(nn.Module):
    def __init__(self, module: nn.Module, watch: Stopwatch) -> None:
        super().__init__()
        self.module = module
        self._run = watch.timed("forward", module)

    def forward(self, images: Tensor) -> Any:
        return self._run(images)


class _WatchedVictim:
    def __init__(self, victim: Victim, watch: Stopwatch) -> None:
        self.original = victim.original
        self.folded_original = victim.folded_original
        self.original_scores = watch.timed("judges", victim.original_scores)
        self.build_scores = watch.timed("judges", victim.build_scores)
        self.white_box = victim.white_box
