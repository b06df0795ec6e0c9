"""How a build is served."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from edgerift.defend import AnyMonitor, Defence
from edgerift.serve._watching import Reaction
from edgerift.settings import Count, Settings

_MEBIBYTE: Final = 2**20


class ServeSettings(Settings):
    """How a build is served: its name in addresses, and what holds for a client that has no value of its own.

    `budget` is the number of different images that a client is ever answered, `defences` change the answers in their
    order, and `monitor` watches what a client pays for, with a `reaction` to its alarm. A request has at most
    `most_images` images and `largest_body` bytes, packed and unpacked.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = "model"
    budget: Count = 50_000
    defences: tuple[Defence, ...] = ()
    monitor: AnyMonitor | None = None
    reaction: Reaction = "report"
    most_images: Annotated[int, Field(ge=1, le=65_536)] = 1024
    largest_body: Annotated[int, Field(ge=1024, le=1024 * _MEBIBYTE)] = 16 * _MEBIBYTE
