"""When an attacker without the true models believes that an image evades."""

from __future__ import annotations

from torch import Tensor

from edgerift.evade._attack import Attack
from edgerift.evade._judge import is_beyond_top5
from edgerift.measure import margin


def believes(attack: Attack, original: Tensor, adapted: tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """Tell for which images the steering models say that the search is done: bool `[B]`.

    The original's logits `[B,K]` give the label, with a probability of at least the attack's `confidence`, and those of
    every adapted model, as the attack aims at them, something else; with a target class that, and with the goal `top5`
    none of the original's five best.
    """
    own = original.detach().softmax(1)
    right = (own.argmax(1) == labels) & (own.amax(1) >= attack.confidence)
    for logits in adapted:
        falls = margin(logits, labels) < 0 if attack.target is None else logits.argmax(1) == attack.target
        right &= falls
        if attack.goal == "top5":
            right &= is_beyond_top5(original, logits)
    return right
