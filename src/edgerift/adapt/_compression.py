"""The interface of compressions in float, and their registry: each is registered by the module that defines it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from edgerift import zoo
from edgerift.settings import Registry, Settings
from edgerift.train import TrainSettings

if TYPE_CHECKING:
    from torch import nn

    from edgerift.images import ImageSet
    from edgerift.steps import Progress
    from edgerift.train import Trained


class Compression(Settings, ABC):
    """How a smaller float model is made of an original, which may be quantized afterwards.

    `type` is a literal of one value, and the module registers it. `title` names the result in tables. `keeps_zeros`
    says whether quantization-aware training has to leave its zeros 0, and `starts_anew` whether it trains weights of
    its own, as an original does, or those of the original.
    """

    type: str
    title: ClassVar[str]
    keeps_zeros: ClassVar[bool] = False
    starts_anew: ClassVar[bool] = False
    train: TrainSettings

    @abstractmethod
    def compress(
        self,
        original: nn.Module,
        train: ImageSet,
        validation: ImageSet | None,
        *,
        checkpoint: Path | None,
        progress: Progress,
    ) -> Trained:
        """Make the compressed model, in evaluation mode, and its history; the original is not changed."""


COMPRESSIONS: Final[Registry[type[Compression]]] = Registry("compression", "edgerift.adapt.compressions")

_Compression = TypeVar("_Compression", bound=Compression)


def compression(cls: type[_Compression]) -> type[_Compression]:
    """Register a compression under the default of its `type`."""
    COMPRESSIONS.register(cls.model_fields["type"].default, cls)
    return cls


def teacher_classes(original: nn.Module, train: ImageSet) -> None:
    """Raise :class:`~edgerift.errors.ModelError` for an original whose classes are not the images'."""
    learned = original.learned if isinstance(original, zoo.Classifier) else None
    zoo.check(original, len(train.classes))
    zoo.check_classes(() if learned is None else learned.classes, train.classes, train.name)
