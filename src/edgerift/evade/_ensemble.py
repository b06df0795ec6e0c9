"""Running an ensemble: each member attacks the images that those before it did not evade, and the union counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor

from edgerift.evade._attack import Attack
from edgerift.evade._evasion import COUNTS, Evasion
from edgerift.evade._members import members

#: Which of an image's tensors come from the member that evaded it.
_TAKEN: Final = ("images", "last", "original", "build", "last_original", "last_build")


def ensemble_found(
    attack: Attack, count: int, run: Callable[[Attack, Tensor], Evasion], told: Callable[[int], None]
) -> Evasion:
    """Run the members of an ensemble on `count` images and take their union.

    `run` attacks some of them, by their rows int64 `[M]`. `told` is called with how many images' worth of work is done.
    """
    left = torch.arange(count)
    union: Evasion | None = None
    spent = 0
    for number, one in enumerate(members(attack).values()):
        found = run(one, left)
        joined = _begun(found, attack) if union is None else union
        union = _with(joined, found, left, number, spent)
        spent += one.steps * one.restarts
        left = (~union.evasive).nonzero()[:, 0]
        told(count - len(left) + len(left) * spent // attack.steps)
        if len(left) == 0:
            break
    assert union is not None
    return union


def _begun(found: Evasion, attack: Attack) -> Evasion:
    """Make the union of nothing yet, with the first member's candidates."""
    nothing: dict[str, Any] = {
        name: torch.zeros_like(getattr(found, name)) for name in (*COUNTS, "evasive", "void", "fooled")
    }
    return replace(
        found,
        attack=attack,
        member=torch.full_like(found.labels, -1),
        first=torch.full_like(found.labels, -1),
        **nothing,
    )


def _with(union: Evasion, found: Evasion, rows: Tensor, number: int, spent: int) -> Evasion:
    """Add what one member reached on some rows of the union, `spent` gradient calls after the beginning."""
    changed = {name: getattr(union, name).clone() for name in (*_TAKEN, *COUNTS, "evasive", "void", "fooled", "first")}
    hits = rows[found.evasive]
    for name in _TAKEN:
        changed[name][hits] = getattr(found, name)[found.evasive]
    for name in COUNTS:
        changed[name][rows] += getattr(found, name)
    for name in ("evasive", "void", "fooled"):
        changed[name][rows] |= getattr(found, name)
    changed["void"] &= ~changed["evasive"]
    changed["first"][hits] = spent + found.first[found.evasive]
    assert union.member is not None
    member = union.member.clone()
    member[hits] = number
    return replace(union, member=member, **changed)
