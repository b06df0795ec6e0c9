"""Data-free attacks in seconds, on a victim that keeps count, and thieves that die in the middle.

`python small_thefts.py FOLDER ATTACK QUESTIONS` steals in `FOLDER` and kills itself before that question to the victim.
"""

import functools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgerift.extract import DataFree, DataFreeClone, Differences, Oracle, Positives, Rehearsal, data_free
from edgerift.extract import _replay as replay_module

#: Rows behind a replay memory, so few that a checkpoint comes every three iterations or so.
SLACK = 150
ITERATIONS = 8
CLASSES = 3
SIZE = 12
TINY: dict[str, Any] = {"student": "lenet", "batch_size": 8, "latent": 8, "width": 4}
ATTACKS: dict[str, DataFree] = {
    "dfme": DataFree(name="dfme", **TINY),
    "dfme-split": DataFree(
        name="dfme", **TINY, clone_steps=2, differences=Differences(epsilon=0.1, scheme="central", split=True)
    ),
    "maze": DataFree(
        name="maze",
        **TINY,
        clone_steps=3,
        differences=Differences(directions=2, epsilon=0.1),
        rehearsal=Rehearsal(steps=2, capacity=20, adds="last"),
        positives=Positives(count=5, critic_steps=2),
    ),
    "maze-dfme": DataFree(name="maze-dfme", **TINY, clone_steps=2, differences=Differences(directions=2)),
    "disguide": DataFree(name="disguide", **TINY, rehearsal=Rehearsal(steps=3, capacity=20)),
    "disguide-hard": DataFree(name="disguide-hard", **TINY, clone_steps=2, rehearsal=Rehearsal(steps=1, capacity=99)),
}
POSITIVES = torch.randint(0, 256, (6, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)


class LinearVictim:
    """Linear logits of uint8 images, the same in any batch; it counts, and does `before` each question."""

    def __init__(self, before: Callable[[int], None] = lambda number: None) -> None:
        generator = torch.Generator().manual_seed(4)
        self.weight = torch.randn(3 * SIZE * SIZE, CLASSES, generator=generator, dtype=torch.float64)
        self.before, self.questions, self.answered = before, 0, 0

    def __call__(self, images: Tensor) -> Tensor:
        assert images.dtype == torch.uint8
        assert not torch.is_grad_enabled()
        self.before(self.questions)
        self.questions += 1
        self.answered += len(images)
        return self.logits(images)

    def logits(self, images: Tensor) -> Tensor:
        """Answer without counting."""
        return ((images.flatten(1).double() / 255 - 0.5) @ self.weight).float()


def steal(name: str, oracle: Oracle, **options: Any) -> DataFreeClone:
    """Steal with one of the small attacks; MAZE has images of its own."""
    chosen = ATTACKS[name]
    positives = None if chosen.positives is None else POSITIVES
    return data_free(oracle, chosen, **{"classes": CLASSES, "size": SIZE, "positives": positives, **options})


def budget(name: str, iterations: int) -> int:
    """Give a budget that is enough for so many iterations, and a little more."""
    return ATTACKS[name].queries * iterations + 5


@functools.cache
def whole(name: str) -> DataFreeClone:
    """Steal without a kill, without a ledger and without a checkpoint."""
    victim = LinearVictim()
    oracle = Oracle(victim, budget=budget(name, ITERATIONS))
    found = steal(name, oracle, points=2)
    assert oracle.spent == victim.answered == ATTACKS[name].queries * ITERATIONS
    return found


def require_same(first: DataFreeClone, second: DataFreeClone) -> None:
    """Fail where two thefts differ in a bit of a network or in the curve."""
    for one, other in ((first.model, second.model), (first.generator, second.generator)):
        state = other.state_dict()
        assert one.state_dict().keys() == state.keys()
        for name, tensor in one.state_dict().items():
            assert torch.equal(tensor, state[name]), name
    assert first.curve == second.curve


def steal_in(folder: Path, name: str, victim: LinearVictim, iterations: int, **options: Any) -> DataFreeClone:
    """Steal with a ledger and a checkpoint, and check what was paid."""
    with Oracle(victim, budget=budget(name, iterations), ledger=folder / "ledger") as oracle:
        found = steal(name, oracle, checkpoint=folder / "checkpoint", points=2, **options)
        assert oracle.spent == ATTACKS[name].queries * iterations
    return found


def die_at(question: int) -> Callable[[int], None]:
    """Kill this process before a question."""

    def before(number: int) -> None:
        if number == question:
            os.kill(os.getpid(), signal.SIGKILL)

    return before


if __name__ == "__main__":
    torch.set_num_threads(1)
    replay_module.SLACK = SLACK  # type: ignore[misc]
    steal_in(Path(sys.argv[1]), sys.argv[2], LinearVictim(die_at(int(sys.argv[3]))), ITERATIONS)
