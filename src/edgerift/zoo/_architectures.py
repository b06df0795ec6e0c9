"""Which architectures there are: each is registered by the module that makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from torch import nn

from edgerift.errors import ModelError
from edgerift.settings import Registry
from edgerift.zoo._architecture import Architecture

Maker: TypeAlias = Callable[[Architecture], nn.Module]


@dataclass(frozen=True)
class Known:
    """An architecture of the zoo: what makes it, and whether it is made for small images alone.

    A small one has the small stem alone, and trains on a laptop in minutes.
    """

    make: Maker
    is_small: bool = False


ARCHITECTURES: Final[Registry[Known]] = Registry("model", "edgerift.zoo.architectures", ModelError)


def architecture(name: str, *, small: bool = False) -> Callable[[Maker], Maker]:
    """Register a function that makes a network from its `Architecture` under a name; `small` as in :class:`Known`."""

    def register(make: Maker) -> Maker:
        ARCHITECTURES.register(name, Known(make, small))
        return make

    return register


def is_small(name: str) -> bool:
    """Tell whether a network trains on a laptop in minutes; a user's own factory is taken for one that does."""
    return name not in ARCHITECTURES or ARCHITECTURES[name].is_small
