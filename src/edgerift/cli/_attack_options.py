"""How an audit attacks: the options, and the attacks that they name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from edgerift import evade, run
from edgerift.cli._fields import Shown
from edgerift.cli._options import LEVELS
from edgerift.cli._places import is_on_ray, workers_at
from edgerift.errors import InputError
from edgerift.evade import GreyLevels
from edgerift.settings import ClassNumber, Count, Settings, Times

if TYPE_CHECKING:
    from edgerift.steps import Store

#: A worker needs seconds to open a pair, and minutes for so many images.
_SHARD: Final = 512
_ATTACKED: Final = "Of those that both models classify correctly"


class AttackOptions(Settings):
    """How to attack."""

    attack: Annotated[
        tuple[str, ...], Shown(default="default, diva-2022, pgd", details="The gate judges the first")
    ] = ()
    """named attack, or with --trust your own file.py:function; repeatable"""
    epsilon: Annotated[GreyLevels, LEVELS] = 8
    """largest pixel change, in grey levels of 255"""
    steps: Annotated[Times, Shown(details="fgsm and r-fgsm take one")] = 20
    """gradient steps per image"""
    stop: Annotated[Literal["goal", "never"], Shown(advanced=True)] = "never"
    """goal ends an image's attack at its first success, which is faster; never also gives the success rate at the last
    iterate"""
    images: Annotated[Count | None, Shown(default="all", details=_ATTACKED)] = None
    """attack at most N test images"""
    on: Annotated[str, Shown(advanced=True, metavar="PLACE")] = "here"
    """where the steps run, the attacks in shards: here, processes, ray, or the address of a Ray cluster"""
    embed_class: Annotated[tuple[ClassNumber, ...], Shown(advanced=True, default="all")] = ()
    """class number to show in the embedding plot; repeatable"""

    @property
    def shard(self) -> int | None:
        """The images that a worker attacks as one step; None where all of them are attacked here."""
        return None if self.on == "here" else _SHARD

    @property
    def workers(self) -> Callable[[Store], run.Workers] | None:
        """What starts the workers; None where everything runs in this process. Raises `InputError` for no place."""
        is_on_ray(self.on)
        return None if self.on == "here" else self._workers

    def _workers(self, store: Store) -> run.Workers:
        data = os.environ.get("EDGERIFT_DATA")
        data_root = Path(data).absolute() if data else None
        return workers_at(self.on, run.Place(store=store.root, mirror=store.mirror, data_root=data_root))


def named_attack(given: str, options: AttackOptions, *, trust: bool) -> tuple[str, evade.Attack]:
    """Describe a preset, or an attack of the user's own, which is called as its function is."""
    if not evade.is_own(given):
        return given, evade.preset(given, options.epsilon, options.steps)
    if not trust:
        raise InputError(f"attack '{given}' is code that the audit would import and run; pass --trust if you know it")
    own = evade.own_attack(given, trust=True, epsilon=options.epsilon, steps=options.steps)
    return given.rpartition(":")[2].lstrip("_"), own
