"""The interface of training defences, and their registry: each is registered by the module that defines it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final, Self, TypeVar

from edgerift.settings import Registry, Settings

if TYPE_CHECKING:
    from torch import Tensor, nn


class TrainingDefence(Settings, ABC):
    """A loss that makes a model hard to steal: `type` is a literal of one value, and the module registers it.

    `strength_field` names the field that a search varies. `plain_at_zero` says whether a strength of 0 is training
    without the defence.
    """

    type: str
    strength_field: ClassVar[str]
    plain_at_zero: ClassVar[bool] = True

    @property
    def strength(self) -> float:
        """The strength that a search varies."""
        return float(getattr(self, self.strength_field))

    def with_strength(self, strength: float) -> Self:
        """Return the same loss with another strength."""
        return self.replace(**{self.strength_field: strength})

    @abstractmethod
    def batch_loss(
        self, model: nn.Module, original: nn.Module, images: Tensor, labels: Tensor, label_smoothing: float
    ) -> Tensor:
        """Compute the loss of a model on images float32 `[B,3,H,W]` in `[0,1]` and labels int64 `[B]`: a scalar.

        `original` is used as is, so it has to be in evaluation mode; it gets no gradient.
        """


TRAINING_DEFENCES: Final[Registry[type[TrainingDefence]]] = Registry("training defence", "edgerift.adapt.defences")

_Defence = TypeVar("_Defence", bound=TrainingDefence)


def training_defence(cls: type[_Defence]) -> type[_Defence]:
    """Register a training defence under the default of its `type`."""
    TRAINING_DEFENCES.register(cls.model_fields["type"].default, cls)
    return cls
