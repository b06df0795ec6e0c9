"""The image set: uint8 images with their labels, and what belongs to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Final, NamedTuple

import torch
from pydantic import ConfigDict, Field
from torch import Tensor

from edgerift.errors import DataError
from edgerift.images._fingerprint import derive
from edgerift.images._notes import resized_note
from edgerift.images._pixels import resize_pixels
from edgerift.images._shape import ImageShape, Size, check_size, extent, shape_of, size_text

#: Most sets in colour show it in their first images.
_LOOKED_AT_ONCE: Final = 256


@dataclass(frozen=True)
class Augmentation:
    """What may be done to a training image while its label stays true.

    `flip` allows mirroring left and right; `crop` is the number of pixels an image may be padded with on each
    side before a window of its own size is cut out again. Raises `DataError` for a negative `crop`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    flip: bool = False
    crop: Annotated[int, Field(ge=0)] = 0

    def __post_init__(self) -> None:
        """Refuse a negative crop."""
        if self.crop < 0:
            raise DataError(f"augmentation crop is {self.crop}; it is a number of pixels, 0 or more")


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet:
    """Labelled images of one shape as they were stored: whole grey levels.

    `images` is uint8 `[N,C,H,W]`, with one channel where the source is greyscale and three where it is in colour,
    `labels` int64 `[N]` with values below `len(classes)`, and `groups` int64 `[N]` where images belong together (the
    frames of one film), which `split` never tears apart. `fingerprint` names the content: two sets with the same one
    hold the same images. Images with three equal channels each become images of one, unless the set is `in_colour`:
    those that happen to be grey among coloured ones stay what they are. `notes` say, each in one line, what was decided
    where the source could be read in more than one way, and whether images were resized. The tensors are shared, not
    copied: write to none. Raises `DataError` where a tensor has another type or shape, or a label is out of range.
    """

    name: str
    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    fingerprint: str
    groups: Tensor | None = None
    augmentation: Augmentation = Augmentation()
    in_colour: bool = False
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the types, the shapes and the range of the labels."""
        _check_images(self.name, self.images)
        _check_column(self.name, "labels", self.labels, len(self.images))
        if self.groups is not None:
            _check_column(self.name, "groups", self.groups, len(self.images))
        if not self.classes:
            raise DataError(f"image set '{self.name}' has no classes; it needs the name of each")
        check_labels(self.name, self.labels, len(self.classes))
        if self.images.shape[1] == 3 and not self.in_colour and is_grey(self.images):
            object.__setattr__(self, "images", self.images[:, :1].contiguous())

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def __repr__(self) -> str:
        """Show the numbers, not the pixels."""
        return f"ImageSet({self.name!r}, {len(self)} of {self.shape}, {len(self.classes)} classes)"

    @property
    def shape(self) -> ImageShape:
        """The channels, the height and the width of every image."""
        return shape_of(self.images)

    @property
    def grey(self) -> bool:
        """Whether the images are greyscale; what is made of them has one channel too, and so is grey."""
        return self.shape.channels == 1

    def select(self, indices: Tensor | Sequence[int]) -> ImageSet:
        """Return the images at `indices` (int64 `[M]`, any order), or where a bool mask `[N]` is true.

        Raises `DataError` for an index outside `[0, N)` or a mask of another length.
        """
        chosen = _indices(self.name, indices, len(self))
        return replace(
            self,
            images=self.images[chosen],
            labels=self.labels[chosen],
            groups=None if self.groups is None else self.groups[chosen],
            fingerprint=derive(self.fingerprint, "select", chosen.cpu().numpy().astype("<i8").tobytes()),
            in_colour=not self.grey,
        )

    def resized(self, size: Size) -> ImageSet:
        """Return the images scaled to `size`, the side of a square or (height, width), which a note then says.

        Bilinear, antialiased, rounded to grey levels. The arithmetic is Pillow's fixed-point one, equal on every
        machine. Raises `DataError` for a size below 1 pixel.
        """
        size = check_size(size)
        if size == self.shape.size:
            return self
        pixels = torch.from_numpy(resize_pixels(self.images.cpu().numpy(), size))
        return replace(
            self,
            images=pixels,
            fingerprint=resized_fingerprint(self.fingerprint, size),
            in_colour=not self.grey,
            notes=(*self.notes, resized_note(self.name, [extent(self.shape.size)], size)),
        )

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images and labels in order, `size` at a time; the last batch may be smaller.

        Raises `DataError` for `size` below 1.
        """
        if size < 1:
            raise DataError(f"batch size is {size}; it must be 1 or more")
        for start in range(0, len(self), size):
            yield self.images[start : start + size], self.labels[start : start + size]


class Splits(NamedTuple):
    """The images to learn from and the images to be judged on."""

    train: ImageSet
    test: ImageSet


def to_float(images: Tensor) -> Tensor:
    """Map whole grey levels to what a model reads: uint8 of any shape to float32 in `[0,1]`, `images / 255`.

    Raises `DataError` for another dtype, which has been mapped already or never held grey levels.

    >>> to_float(torch.tensor([0, 51, 255], dtype=torch.uint8))
    tensor([0.0000, 0.2000, 1.0000])
    """
    if images.dtype != torch.uint8:
        raise DataError(f"images are {images.dtype}; only uint8 images are mapped to [0,1]")
    # In place, since memory that is new costs as much as the division.
    return images.to(torch.float32).div_(255)


def is_grey(images: Tensor) -> bool:
    """Tell whether every image of uint8 `[N,C,H,W]` is grey: one channel, or several equal ones; false for none.

    >>> is_grey(torch.tensor([[[[7]], [[7]], [[7]]]])), is_grey(torch.tensor([[[[7]], [[7]], [[8]]]]))
    (True, False)
    """
    parts = images.split(_LOOKED_AT_ONCE)
    return len(images) > 0 and all(bool((part[:, 1:] == part[:, :1]).all()) for part in parts)


def resized_fingerprint(parent: str, size: Size) -> str:
    """Name the content that `ImageSet.resized` makes of the content `parent`."""
    return derive(parent, "resized", size_text(size))


def check_labels(name: str, labels: Tensor, classes: int) -> None:
    """Raise `DataError` unless all `labels` (int64 `[N]`) are in `[0, classes)`."""
    wrong = torch.nonzero((labels < 0) | (labels >= classes)).flatten()
    if len(wrong):
        first = int(wrong[0])
        raise DataError(
            f"label {int(labels[first])} of image {first} in '{name}' is out of range; "
            f"with {classes} classes labels are 0 to {classes - 1}"
        )


def _check_images(name: str, images: Tensor) -> None:
    shape = tuple(images.shape)
    if images.dtype != torch.uint8 or len(shape) != 4 or shape[1] not in (1, 3) or 0 in shape[2:]:
        raise DataError(
            f"images of '{name}' are {images.dtype} {list(shape)}; an image set holds torch.uint8 [N,C,H,W] of 1 or 3 "
            "channels"
        )


def _check_column(name: str, column: str, values: Tensor, length: int) -> None:
    if values.dtype != torch.int64 or tuple(values.shape) != (length,):
        raise DataError(
            f"{column} of '{name}' are {values.dtype} {list(values.shape)}; "
            f"for {length} images they are torch.int64 [{length}]"
        )


def _indices(name: str, indices: Tensor | Sequence[int], length: int) -> Tensor:
    chosen = torch.as_tensor(indices)
    if chosen.dtype == torch.bool:
        if tuple(chosen.shape) != (length,):
            raise DataError(f"a mask of shape {list(chosen.shape)} cannot select from the {length} images of '{name}'")
        return torch.nonzero(chosen).flatten()
    chosen = chosen.to(torch.int64) if chosen.numel() == 0 else chosen
    if chosen.ndim != 1 or chosen.is_floating_point():
        raise DataError(f"indices into '{name}' are {chosen.dtype} {list(chosen.shape)}; they are whole numbers [M]")
    wrong = chosen[(chosen < 0) | (chosen >= length)]
    if len(wrong):
        raise DataError(f"index {int(wrong[0])} is outside '{name}'; its {length} images are 0 to {length - 1}")
    return chosen.to(torch.int64)
