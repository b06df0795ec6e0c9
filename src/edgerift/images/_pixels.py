"""From the bytes of one image file to pixels of one size, and images of three equal channels to one."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgerift.images._formats import FORMATS
from edgerift.images._shape import Size, extent

if TYPE_CHECKING:
    from PIL.Image import Image

EXIF_ORIENTATION = 0x0112

MOST_PIXELS = 2**26
"""The maximum pixels of one image before scaling: 64 million, which is 192 MiB."""

IMAGES_AT_ONCE = 1024
"""Images scaled per batch: few calls, and a small copy."""


class Pixels(NamedTuple):
    """A decoded image uint8 `[3,H,W]`, and the height and the width that it had before it was scaled."""

    values: NDArray[np.uint8]
    extent: tuple[int, int]


def decode(file: bytes | Path, size: Size | None) -> Pixels:
    """Decode an image file to uint8 `[3,H,W]`, scaled to `size` where one is given.

    Greyscale is repeated to three channels (16 bits keep their upper eight), palettes are looked up, transparency is
    dropped, and a photograph is turned upright as its EXIF tag asks; of several frames the first is taken. Raises
    whatever Pillow raises for bytes that are no whole image, and `ValueError` for pixels that are no grey levels, or
    too many, before any is decoded.
    """
    with _open(file) as image:
        native = _colour(_upright(image))
        width, height = native.size
        return Pixels(np.asarray(_scale(native, size)).transpose(2, 0, 1), (height, width))


def is_grey(images: NDArray[np.uint8]) -> bool:
    """Tell whether every image of `[N,C,H,W]` is grey: one channel, or several equal ones."""
    parts = (images[start : start + IMAGES_AT_ONCE] for start in range(0, len(images), IMAGES_AT_ONCE))
    return all(bool((part[:, 1:] == part[:, :1]).all()) for part in parts)


def same_channels(images: Mapping[str, NDArray[np.uint8]]) -> dict[str, NDArray[np.uint8]]:
    """Give all parts of a source `[N,C,H,W]` one channel where all of their images are grey, else three."""
    if all(is_grey(part) for part in images.values()):
        return {split: np.ascontiguousarray(part[:, :1]) for split, part in images.items()}
    return {split: np.repeat(part, 3, axis=1) if part.shape[1] == 1 else part for split, part in images.items()}


def _open(file: bytes | Path) -> Image:
    """Read an image's header, and no more."""
    import PIL.Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
        try:
            image = PIL.Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=_formats())
        except PIL.UnidentifiedImageError as error:
            raise ValueError(f"it is none of {', '.join(FORMATS)}") from error
    width, height = image.size
    if width * height > MOST_PIXELS:
        image.close()
        raise ValueError(f"it has {width}x{height} pixels, and {MOST_PIXELS} are allowed")
    return image


def _formats() -> list[str]:
    """Name the formats that are read and that this Pillow knows."""
    import PIL.Image

    if not PIL.Image.OPEN.keys() >= FORMATS.keys():
        PIL.Image.init()
    return [name for name in FORMATS if name in PIL.Image.OPEN]


def resize_pixels(images: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Scale uint8 `[N,C,H,W]` to the height and width of `size` with Pillow's fixed-point bilinear filter, antialiased.

    Equal to the last bit to one image after another; a channel is scaled by itself.
    """
    height, width = extent(size)
    scaled = np.empty((*images.shape[:2], height, width), dtype=np.uint8)
    if (height > images.shape[2]) != (width > images.shape[3]):
        # Which side comes first is then Pillow's choice.
        for index in np.ndindex(images.shape[:2]):
            scaled[index] = _scale_plane(images[index], (width, height))
        return scaled
    for start in range(0, len(images), IMAGES_AT_ONCE):
        # Pillow scales rows to whole grey levels first, and columns then.
        rows = _scale_rows(images[start : start + IMAGES_AT_ONCE], width)
        scaled[start : start + IMAGES_AT_ONCE] = _scale_rows(rows.swapaxes(2, 3), height).swapaxes(2, 3)
    return scaled


def _scale_plane(plane: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    import PIL.Image
    from PIL.Image import Resampling

    return np.asarray(PIL.Image.fromarray(plane).resize(size, Resampling.BILINEAR))


def _scale_rows(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Scale `[N,C,H,W]` to `[N,C,H,size]`: all rows of all images as those of one tall grey image."""
    import PIL.Image
    from PIL.Image import Resampling

    count, channels, height, width = images.shape
    tall = PIL.Image.fromarray(np.ascontiguousarray(images).reshape(-1, width))
    return np.asarray(tall.resize((size, tall.height), Resampling.BILINEAR)).reshape(count, channels, height, size)


def _scale(image: Image, size: Size | None) -> Image:
    from PIL.Image import Resampling

    if size is None:
        return image
    height, width = extent(size)
    return image if image.size == (width, height) else image.resize((width, height), Resampling.BILINEAR)


def _upright(image: Image) -> Image:
    from PIL import ImageOps

    return ImageOps.exif_transpose(image) if EXIF_ORIENTATION in image.getexif() else image


def _colour(image: Image) -> Image:
    if image.mode == "RGB":
        return image
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, not grey levels")
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    if "transparency" in image.info:  # Pillow warns where it has to drop this on the way to RGB.
        image = image.convert("RGBA")
    return image.convert("RGB")


def _eight_bits(image: Image) -> Image:
    import PIL.Image

    levels = np.asarray(image).astype(np.int64)
    if levels.min() < 0 or levels.max() > 0xFFFF:
        raise ValueError("its grey levels need more than 16 bits")
    if 0 < levels.max() < 0x100:
        raise ValueError(f"its 16-bit grey levels end at {levels.max()}, and all would be black; save it with 8 bits")
    return PIL.Image.fromarray((levels >> 8).astype(np.uint8))
