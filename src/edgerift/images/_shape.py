"""The shape of images, the ways to write a size, and grey images for a model that takes three channels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeAlias

from pydantic import BeforeValidator

from edgerift.errors import DataError, ModelError

if TYPE_CHECKING:
    from torch import Tensor

Size: TypeAlias = int | tuple[int, int]
"""The size of images in pixels: the side of a square, or (height, width)."""

_LARGEST: Final = 4096
#: The pixels of images of which whole batches are computed at once.
_USUAL: Final = 64 * 64
_WRITTEN: Final = re.compile(r"([0-9]{1,9})(?:[x×]([0-9]{1,9}))?")


class ImageShape(NamedTuple):
    """The shape of an image: 1 channel where it is grey, else 3, and height and width in pixels.

    >>> str(ImageShape(1, 28, 28)), ImageShape(3, 96, 160).size
    ('1x28x28', (96, 160))
    """

    channels: int
    height: int
    width: int

    def __str__(self) -> str:
        """Write it as `channels x height x width`, without spaces."""
        return f"{self.channels}x{self.height}x{self.width}"

    @property
    def size(self) -> Size:
        """The height where it is the width too, else (height, width)."""
        return self.height if self.height == self.width else (self.height, self.width)


def batch_of(shape: ImageShape, most: int) -> int:
    """How many images a network takes at once on a CPU: `most` up to 64 x 64 pixels, fewer of larger ones, at least 1.

    What a network computes with them takes memory by the pixel.

    >>> batch_of(ImageShape(3, 32, 32), 64), batch_of(ImageShape(3, 224, 224), 64)
    (64, 5)
    """
    return max(1, min(most, most * _USUAL // (shape.height * shape.width)))


def shape_of(images: Tensor) -> ImageShape:
    """Return the shape of each of the images `[N,C,H,W]`."""
    channels, height, width = images.shape[1:]
    return ImageShape(int(channels), int(height), int(width))


def extent(size: Size) -> tuple[int, int]:
    """Return (height, width) of a size.

    >>> extent(32), extent((96, 160))
    ((32, 32), (96, 160))
    """
    return (size, size) if isinstance(size, int) else size


def size_text(size: Size) -> str:
    """Write a size as `--size` takes it: the side of a square, or `HEIGHTxWIDTH`.

    >>> size_text(32), size_text((96, 160))
    ('32', '96x160')
    """
    return str(size) if isinstance(size, int) else f"{size[0]}x{size[1]}"


def read_size(given: Any, least: int = 1) -> Size:
    """Read a size: a whole number, `HEIGHTxWIDTH`, or a pair; equal numbers of a pair are the side of a square.

    Raises `ValueError` for anything else, and for a size below `least` or above 4096 pixels.

    >>> read_size("28"), read_size("96x160"), read_size([32, 32])
    (28, (96, 160), 32)
    """
    found = _WRITTEN.fullmatch(given.strip()) if isinstance(given, str) else None
    numbers = given if found is None else [int(number) for number in found.groups() if number is not None]
    pair = tuple(numbers) if isinstance(numbers, list | tuple) else (numbers,)
    if not (1 <= len(pair) <= 2 and all(type(number) is int for number in pair)):
        raise ValueError("a size is PIXELS or HEIGHTxWIDTH, such as 32 or 96x160")
    if not all(least <= number <= _LARGEST for number in pair):
        raise ValueError(f"height and width are from {least} to {_LARGEST} pixels")
    return pair[0] if pair[0] == pair[-1] else (pair[0], pair[-1])


def check_size(size: Size | str) -> Size:
    """Return a size that an image can have; raises `DataError` for another."""
    try:
        return read_size(size)
    except ValueError as error:
        raise DataError(f"image size is {size!r}; {error}") from None


def _of_models(given: Any) -> Size:
    return read_size(given, 8)


_WAYS: Final = int | str | tuple[int, int]

ImageSize: TypeAlias = Annotated[Size, BeforeValidator(read_size, json_schema_input_type=_WAYS)]
"""The size of images in settings: a whole number, `HEIGHTxWIDTH` or a pair, from 1 to 4096 pixels."""
ModelSize: TypeAlias = Annotated[Size, BeforeValidator(_of_models, json_schema_input_type=_WAYS)]
"""The size of the images that a model takes, in settings: as :data:`ImageSize`, from 8 pixels."""


def in_channels(images: Tensor, channels: int) -> Tensor:
    """Give images `[N,C,H,W]` the channels of a model: the one channel of grey images is repeated, `[N,channels,H,W]`.

    The gradient of the one channel is the sum over its copies. Raises `ModelError` for other images that do not have so
    many channels.

    >>> import torch
    >>> in_channels(torch.ones(2, 1, 4, 4), 3).shape
    torch.Size([2, 3, 4, 4])
    """
    given = images.shape[1]
    if given == channels:
        return images
    if given == 1:
        return images.repeat(1, channels, 1, 1)
    kind = "greyscale images, 1 channel" if channels == 1 else f"images of {channels} channels"
    raise ModelError(f"the images have {given} channels and the model takes {kind}; convert the images to that kind")
