"""Which copies of the models steer a search: exact ones, or reduced ones with cheaper gradients."""

from __future__ import annotations

from typing import NamedTuple

from edgerift.deploy import Reduced
from edgerift.evade._attack import Attack
from edgerift.evade._engine import device_of
from edgerift.evade._pair import Steering, Victim
from edgerift.train import bfloat16_is_fast


class Chosen(NamedTuple):
    """What steers; `is_corrected` where the original's logits are to be corrected by those that the judge answers."""

    steering: Steering
    is_corrected: bool = False


def steering_for(attack: Attack, steering: Steering, victim: Victim) -> Chosen:
    """Reduce a steering's modules where the attack says so, or leaves it open and the processor gains by it.

    The choice depends on the attack and the processor alone, never on a measured time: a search repeats. A step that
    brings two margins into balance has to know both. So the original has to be corrected, which it can be where it is
    the one that judges, or else answers exactly.
    """
    if attack.own is not None or attack.rule == "square" or attack.precision == "float32":
        return Chosen(steering)
    if device_of(steering).type != "cpu" or (attack.precision == "auto" and not bfloat16_is_fast()):
        return Chosen(steering)
    is_judge = steering.original is victim.folded_original
    reduced = steering.reduced(exact=attack.rule == "balance" and not is_judge)
    return Chosen(reduced, attack.reads_original and is_judge and isinstance(reduced.original, Reduced))
