"""Adaptive misinformation: wrong answers where the victim is unsure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, final

from pydantic import Field, PositiveFloat, model_validator

from edgerift._lazy import later
from edgerift.defend._answer_defence import SeeingDefence, defence
from edgerift.defend._rows import normalised

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from edgerift.defend import _surrogates as surrogates
    from edgerift.images import ImageShape
else:
    torch, surrogates = later("torch", "edgerift.defend._surrogates")


@final
@defence
class AdaptiveMisinformation(SeeingDefence):
    """Answer (1 - a) y + a g(x), with a = sigmoid(sharpness * (threshold - max y)) and a network g that misleads.

    Kariyappa and Qureshi 2020, "Defending Against Model Stealing Attacks with Adaptive Misinformation",
    https://arxiv.org/abs/1911.07100. `misleading` is the file of g: a network trained to be wrong, see
    :func:`~edgerift.defend.misleading_network`, as `.safetensors`, or a build of it, as a product ships it: a float
    network beside an int8 victim betrays itself by its grid of answers and its time. `threshold` is the strength; at 0
    nothing changes, above 1 all answers are g's. Its authors set `sharpness` to 10,000, later code to 1,000. The victim
    of the paper is trained with outlier exposure, without which max y hardly tells its own images from
    others. The label may change.
    """

    type: Literal["adaptive-misinformation"] = "adaptive-misinformation"
    title = "Adaptive Misinformation"
    strength_field = "threshold"
    network_field = "misleading"
    grid = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
    misleading: str
    threshold: Annotated[float, Field(ge=0, le=2)] = 0.9
    sharpness: PositiveFloat = 1000.0
    sha256: str = ""

    @model_validator(mode="before")
    @classmethod
    def _named_by_content(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and isinstance(fields.get("misleading"), str) and not fields.get("sha256"):
            return {**fields, "sha256": surrogates.file_digest(fields["misleading"])}
        return fields

    @property
    def keeps_argmax(self) -> bool:
        """Whether every row keeps its top-1 label: only for a threshold of 0."""
        return self.threshold == 0

    def network_bytes(self, classes: int, shape: ImageShape) -> int:
        """Return the size of the network that misleads."""
        return surrogates.file_bytes(self.misleading)

    def changed(self, rows: Tensor, answers: Tensor, images: Tensor) -> Tensor:
        """Perturb N answers."""
        if self.threshold == 0:
            return answers
        wrong = surrogates.file_answers(self.misleading, self.sha256, rows.shape[1], images).to(rows.device)
        share = torch.sigmoid(self.sharpness * (self.threshold - rows.amax(1, keepdim=True)))
        return normalised((1 - share) * rows + share * wrong)
