"""What a search maximises: one value per image, from the logits of the original and of the builds' twins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Final, Literal, TypeAlias, TypeVar

import torch
from torch import Tensor

from edgerift.errors import InputError, users_code
from edgerift.settings import Registry, Settings

Objective: TypeAlias = Callable[[Tensor, tuple[Tensor, ...], Tensor], Tensor]
"""Logits `[N,K]` of the original, logits `[N,K]` of each build's twin, labels int64 `[N]`; to values `[N]`."""


class ObjectiveSettings(Settings, ABC):
    """An objective with a name: `type` is a literal of one value, and the module registers it with :func:`objective`.

    `reads_original` says whether the original's logits are needed, `has_sides` whether the rule `balance` can follow
    its two sides.
    """

    type: str
    reads_original: ClassVar[bool] = True
    has_sides: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, original: Tensor, adapted: tuple[Tensor, ...], labels: Tensor) -> Tensor:
        """Compute the objective `[N]`, which the search raises."""

    def sides(self, original: Tensor, adapted: tuple[Tensor, ...], labels: Tensor) -> tuple[Tensor, Tensor]:
        """Compute `[N]` what has to stay positive for the original and become negative for the builds."""
        raise NotImplementedError(f"{type(self).__name__} does not have two sides")

    @property
    def wanted(self) -> int | None:
        """The class that the build has to answer for a success; None where any wrong one will do."""
        return None


OBJECTIVES: Final[Registry[type[ObjectiveSettings]]] = Registry("objective", "edgerift.evade.objectives")

_Named = TypeVar("_Named", bound=ObjectiveSettings)


def objective(cls: type[_Named]) -> type[_Named]:
    """Register an objective under the default of its `type`."""
    OBJECTIVES.register(cls.model_fields["type"].default, cls)
    return cls


class Custom(ObjectiveSettings):
    """Represents a user's own callable in an attack's description, by its name."""

    type: Literal["custom"] = "custom"
    name: str

    def __call__(self, original: Tensor, adapted: tuple[Tensor, ...], labels: Tensor) -> Tensor:
        """Refuse: a description holds no code; raises :class:`~edgerift.errors.InputError`."""
        raise InputError(f"objective '{self.name}' is a callable of yours; pass it to search(objective=...) again")


def name_of(objective: Objective) -> str:
    """Return the name of a user's own callable."""
    name: str = getattr(objective, "__qualname__", type(objective).__qualname__)
    return name


def guarded(objective: Objective) -> Objective:
    """Turn what a user's own callable raises into a one-line :class:`~edgerift.errors.InputError`."""

    def called(original: Tensor, adapted: tuple[Tensor, ...], labels: Tensor) -> Tensor:
        call = "as objective(original, adapted, labels): logits [N,K], a tuple of such, int64 [N]; to values [N]"
        with users_code(f"objective '{name_of(objective)}'", call, InputError):
            return objective(original, adapted, labels)

    return called


def probability(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the softmax probability `[N]` of the labels."""
    return logits.softmax(1).gather(1, labels[:, None])[:, 0]


def total(values: list[Tensor]) -> Tensor:
    """Sum values `[N]` over the builds."""
    return torch.stack(values).sum(0)
