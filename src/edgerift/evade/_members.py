"""Ensembles: fixed lists of attacks, from cheap to dear."""

from __future__ import annotations

from collections.abc import Mapping

from edgerift.evade._attack import Attack
from edgerift.evade.objectives._build_alone import CrossEntropy
from edgerift.evade.objectives._diva import Diva


def members(attack: Attack) -> Mapping[str, Attack]:
    """List the members of an ensemble by name, in their order; they share its epsilon, seed, goal and precision.

    `pair-attack-1`: the default attack; PGD on the build alone; DIVA with APGD's steps; the default's steps towards
    each of three runner-up classes; the default from random starts; and a search without gradients.
    """
    common = Attack(epsilon=attack.epsilon, seed=attack.seed, goal=attack.goal, precision=attack.precision)
    whole = float(max(attack.epsilon, 1))
    steady = common.replace(rule="balance", step=max(1.0, 5 * attack.epsilon / 21), schedule="linear")
    listed = {
        "default": steady,
        "pgd": common.replace(objective=CrossEntropy()),
        "diva-apgd": common.replace(objective=Diva(c=1.0), rule="apgd", step=2 * whole, steps=40),
    }
    if attack.goal != "abstain":
        listed |= {f"runner-up-{rank}": steady.replace(runner_up=rank) for rank in (1, 2, 3)}
    listed["restarts"] = steady.replace(start="random", restarts=2)
    listed["square"] = common.replace(rule="square", steps=200)
    return listed
