"""The registry of architectures: each is registered by its own module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from edgerift.errors import ModelError
from edgerift.settings import Registry

if TYPE_CHECKING:
    from torch import nn

    from edgerift.zoo._architecture import Architecture

    Maker: TypeAlias = Callable[[Architecture], nn.Module]


@dataclass(frozen=True)
class Known:
    """An architecture of the zoo: its factory, and whether it is for small images only.

    A small one only has the small stem, and trains on a laptop in minutes.
    """

    make: Maker
    is_small: bool = False


#: Whose architectures are named `library:NAME`.
LIBRARY_NAMES: Final = ("timm", "torchvision")
ARCHITECTURES: Final[Registry[Known]] = Registry("model", "edgerift.zoo.architectures", ModelError)


def architecture(name: str, *, small: bool = False) -> Callable[[Maker], Maker]:
    """Register a function that makes a network from its `Architecture` under a name; `small` as in :class:`Known`."""

    def register(make: Maker) -> Maker:
        ARCHITECTURES.register(name, Known(make, small))
        return make

    return register


def names() -> tuple[str, ...]:
    """List the architectures that `create` knows by name, in alphabetical order.

    >>> names()[:2]
    ('densenet121', 'densenet_tiny')
    """
    return tuple(sorted(ARCHITECTURES.names()))


def is_small(name: str) -> bool:
    """Return whether a network trains on a laptop in minutes; assumed for a user's own factory, not for a library's."""
    if name in ARCHITECTURES:
        return ARCHITECTURES[name].is_small
    return name.partition(":")[0] not in LIBRARY_NAMES
