"""What defences that turn an attacker's gradient share: a strength in l1, and a surrogate of his network."""

from __future__ import annotations

from abc import ABC
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, model_validator

from edgerift._lazy import later
from edgerift.defend._answer_defence import SeeingDefence
from edgerift.settings import Seed

if TYPE_CHECKING:
    from edgerift.defend import _surrogates as surrogates
    from edgerift.images import ImageShape
else:
    surrogates = later("edgerift.defend._surrogates")


class SurrogateDefence(SeeingDefence, ABC):
    """Moves an answer by at most `epsilon` in l1, by what a surrogate makes of the image.

    The `surrogate` is a network of the zoo with random weights of `seed`, or a file of a trained one, such as a clone
    (`.safetensors`, with its `sha256`).
    """

    strength_field: ClassVar[str | None] = "epsilon"
    network_field: ClassVar[str | None] = "surrogate"
    grid: ClassVar[tuple[float, ...]] = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0)
    epsilon: Annotated[float, Field(ge=0, le=2)] = 0.6
    surrogate: str = "resnet8"
    seed: Seed = 0
    sha256: str = ""

    @model_validator(mode="before")
    @classmethod
    def _named_by_content(cls, fields: Any) -> Any:
        return surrogates.with_digest(fields, "surrogate")

    def network_bytes(self, classes: int, shape: ImageShape) -> int:
        """Return the size of the surrogate."""
        return surrogates.surrogate_bytes(self.surrogate, self.seed, self.sha256, classes, shape)
