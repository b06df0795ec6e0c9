"""The interface of monitors, which watch what a client queries, and their registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, TypeVar

from edgerift.settings import Registry, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


class Verdict(NamedTuple):
    """What a monitor says after the last images: whether it has alarmed, its statistic, and how many it has seen.

    `statistic` is None as long as it has seen too little; `alarm_at` is the number of images at the first alarm.
    """

    alarm: bool
    statistic: float | None
    asked: int
    alarm_at: int | None


class Watch(ABC):
    """One client being watched; its state goes to a file and comes back by `state` and `restore`."""

    @abstractmethod
    def watch(self, images: Tensor, answers: Tensor) -> Verdict:
        """Look at images uint8 `[N,C,H,W]` and their answers `[N,K]`, in the order in which they came."""

    @abstractmethod
    def state(self) -> Mapping[str, Tensor]:
        """Return what has been seen, as tensors."""

    @abstractmethod
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take up the watch from a state."""


class Monitor(Settings, ABC):
    """A monitor: `type` is a literal of one value, and the module registers it with :func:`monitor`.

    It sees the queries of one client, and never changes an answer by itself. Someone with several accounts is several
    clients to it.
    """

    type: str
    title: ClassVar[str]

    @abstractmethod
    def start(self) -> Watch:
        """Begin to watch a client."""


MONITORS: Final[Registry[type[Monitor]]] = Registry("monitor", "edgerift.defend.monitors")

_Monitor = TypeVar("_Monitor", bound=Monitor)


def monitor(cls: type[_Monitor]) -> type[_Monitor]:
    """Register a monitor under the default of its `type`."""
    MONITORS.register(cls.model_fields["type"].default, cls)
    return cls
