"""The architecture of a model: the settings that define it together with its weights."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, PositiveFloat, model_validator

from edgerift.settings import Settings
from edgerift.specification import Specification

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def _is_none(value: object) -> bool:
    return value is None


class Architecture(Settings):
    """A name of the zoo (or a user's `module:factory`), its class count and the normalisation of its input.

    With the default `mean` of 128/255 and `std` of 1/2 the 256 grey levels become `(k - 128) / 127.5`: they
    lie exactly on an int8 grid with scale 1/127.5 and zero point 0, so quantizing the input loses nothing.
    Pretrained weights were learned with ImageNet's mean and deviation, which are therefore the defaults
    when `pretrained` is true. A `specification` takes the place of both: it says what the network of a
    stranger takes and answers.

    Raises `RecipeError` when `pretrained` comes without the `imagenet` stem, or a standard deviation is not
    positive.
    """

    name: str = Field(min_length=1)
    classes: int = Field(ge=2, le=100_000)
    size: int = Field(default=32, ge=8, le=4096)
    stem: Literal["small", "imagenet"] = "small"
    pretrained: bool = False
    mean: tuple[float, float, float] = (128 / 255, 128 / 255, 128 / 255)
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (0.5, 0.5, 0.5)
    specification: Specification | None = Field(default=None, exclude_if=_is_none)

    @property
    def outputs(self) -> int:
        """The number of scores of the network itself: one more than its classes where one of them is a background."""
        has_background = self.specification is not None and self.specification.output.background is not None
        return self.classes + has_background

    @model_validator(mode="before")
    @classmethod
    def _normalise_as_pretrained(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and fields.get("pretrained") is True:
            return {"mean": IMAGENET_MEAN, "std": IMAGENET_STD, **fields}
        return fields

    @model_validator(mode="after")
    def _check(self) -> Architecture:
        if self.pretrained and self.stem != "imagenet":
            raise ValueError(
                f"pretrained weights of '{self.name}' need the stem they were trained with, "
                f"not '{self.stem}'; set stem='imagenet'"
            )
        return self
