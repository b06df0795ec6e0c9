"""The architecture of a model: the settings that define it together with its weights."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field, PositiveFloat, model_validator

from edgerift.images import ImageShape, ModelSize, extent
from edgerift.settings import Settings, is_none
from edgerift.specification import Specification

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_MEAN: Final = 128 / 255
_STD: Final = 0.5


def _is_colour(channels: object) -> bool:
    return channels == 3


class Architecture(Settings):
    """A name of the zoo (or a user's `module:factory`), its class count, and the images that it takes.

    `size` is the side of a square or (height, width). A network of 3 `channels` takes grey images too, and repeats
    their channel; one of 1 takes nothing else. `mean` and `std` are those of each channel.

    With the default `mean` of 128/255 and `std` of 1/2 the 256 grey levels become `(k - 128) / 127.5`: they
    lie exactly on an int8 grid with scale 1/127.5 and zero point 0, so quantizing the input loses nothing.
    Pretrained weights were learned with ImageNet's mean and deviation, which are therefore the defaults
    when `pretrained` is true. A `specification` takes the place of both: it says what the network of a
    stranger takes and answers.

    Raises `RecipeError` when `pretrained` comes without the `imagenet` stem or with one channel, or a standard
    deviation is not positive.
    """

    name: str = Field(min_length=1)
    classes: int = Field(ge=2, le=100_000)
    channels: Literal[1, 3] = Field(default=3, exclude_if=_is_colour)
    size: ModelSize = 32
    stem: Literal["small", "imagenet"] = "small"
    pretrained: bool = False
    mean: tuple[float, ...] = (_MEAN, _MEAN, _MEAN)
    std: tuple[PositiveFloat, ...] = (_STD, _STD, _STD)
    specification: Specification | None = Field(default=None, exclude_if=is_none)

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
        if isinstance(fields, dict) and fields.get("channels") == 1:
            return {"mean": (_MEAN,), "std": (_STD,), **fields}
        return fields

    @model_validator(mode="after")
    def _check(self) -> Architecture:
        if self.pretrained and self.stem != "imagenet":
            raise ValueError(
                f"pretrained weights of '{self.name}' need the stem they were trained with, "
                f"not '{self.stem}'; set stem='imagenet'"
            )
        if self.pretrained and self.channels == 1:
            raise ValueError(f"pretrained weights of '{self.name}' take 3 channels; leave out channels=1")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.channels:
                raise ValueError(f"{name} has {len(values)} numbers for channels={self.channels}; give one for each")
        return self

    @property
    def shape(self) -> ImageShape:
        """The shape of the images that the network is made for."""
        given = self.specification
        channels = self.channels if given is None else 1 if given.input.channels == "grey" else 3
        return ImageShape(channels, *extent(self.size))
