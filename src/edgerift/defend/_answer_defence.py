"""The interface of output defences, and their registry: each is registered by the module that defines it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from edgerift.defend._rows import checked
from edgerift.errors import InputError
from edgerift.settings import Registry, Settings

if TYPE_CHECKING:
    from torch import Tensor

    from edgerift.images import ImageShape


class AnswerDefence(Settings, ABC):
    """An output defence: `type` is a literal of one value, and the module registers it with :func:`defence`.

    `title` is its name in tables. `strength_field` names the field that sets its strength, None if it is all or
    nothing, and `grid` lists the strengths to sweep, the weakest first. One that `sees` the images is called with them
    too, as `defence(answers, images)`; see :class:`SeeingDefence`. `network_field` names the field with the network
    that it looks with, if it has one.
    """

    type: str
    title: ClassVar[str]
    strength_field: ClassVar[str | None] = None
    grid: ClassVar[tuple[float, ...]] = (1.0,)
    sees: ClassVar[bool] = False
    network_field: ClassVar[str | None] = None

    @abstractmethod
    def __call__(self, answers: Tensor) -> Tensor:
        """Perturb answers float32 `[N,K]`; raises `InputError` for other shapes and rows off the simplex."""

    @property
    def keeps_argmax(self) -> bool:
        """Whether every row keeps its top-1 label, for any number of classes."""
        return False

    def keeps_argmax_among(self, classes: int) -> bool:
        """Whether every row of `classes` classes keeps its top-1 label."""
        return self.keeps_argmax

    @property
    def sums_to_one(self) -> bool:
        """Whether the perturbed answers are probabilities, which can be compared with others."""
        return True

    def network_bytes(self, classes: int, shape: ImageShape) -> int:
        """Return the size of the network that ships with the defence, for a victim of such answers and images."""
        return 0

    @classmethod
    def is_whole(cls) -> bool:
        """Return whether the strength is an integer."""
        return cls.strength_field is not None and cls.model_fields[cls.strength_field].annotation is int


class SeeingDefence(AnswerDefence, ABC):
    """An output defence that looks at the image as well as at the answer, each on its own and deterministically."""

    sees: ClassVar[bool] = True

    def __call__(self, answers: Tensor, images: Tensor | None = None) -> Tensor:
        """Perturb answers float32 `[N,K]` to images `[N,C,H,W]`, uint8 or float32 in [0, 1].

        Raises `InputError` for other shapes, for rows off the simplex, and without images.
        """
        rows = checked(answers)
        if images is None or images.ndim != 4 or len(images) != len(rows):
            given = "none" if images is None else f"shape {list(images.shape)}"
            raise InputError(
                f"defence {self.type} looks at the images: needed [N,C,H,W], one for each of {len(rows)} answers; "
                f"got {given}"
            )
        return self.changed(rows, answers, images) if len(rows) else answers

    @abstractmethod
    def changed(self, rows: Tensor, answers: Tensor, images: Tensor) -> Tensor:
        """Perturb N answers, at least one, given as float64 `rows` and as they are."""


DEFENCES: Final[Registry[type[AnswerDefence]]] = Registry("defence", "edgerift.defend.defences")

_Defence = TypeVar("_Defence", bound=AnswerDefence)


def defence(cls: type[_Defence]) -> type[_Defence]:
    """Register an output defence under the default of its `type`."""
    DEFENCES.register(cls.model_fields["type"].default, cls)
    return cls
