"""From the bytes of one image file to colour pixels of one size."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgerift.images._formats import FORMATS

if TYPE_CHECKING:
    from PIL.Image import Image

EXIF_ORIENTATION = 0x0112

MOST_PIXELS = 2**26
"""The maximum pixels of one image before scaling: 64 million, which is 192 MiB."""

IMAGES_AT_ONCE = 1024
"""Images scaled per batch: few calls, and a small copy."""


def decode(file: bytes | Path, size: int | None) -> tuple[NDArray[np.uint8], bool]:
    """Decode an image file to uint8 `[3,H,W]`, scaled to `size` by `size` pixels where one is given.

    The second value is whether the image was scaled. Greyscale is repeated to three channels (16 bits keep their upper
    eight), palettes are looked up, transparency is dropped, and a photograph is turned upright as its EXIF tag asks; of
    several frames the first is taken. Raises whatever Pillow raises for bytes that are no whole image, and `ValueError`
    for pixels that are no grey levels, or too many, before any is decoded.
    """
    with _open(file) as image:
        native = _colour(_upright(image))
        scaled = _scale(native, size)
        return np.asarray(scaled).transpose(2, 0, 1), scaled is not native


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


def resize_pixels(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Scale uint8 `[N,C,H,W]` to `[N,C,size,size]` with Pillow's fixed-point bilinear filter, antialiased.

    Equal to the last bit to one image after another; a channel is scaled by itself.
    """
    scaled = np.empty((*images.shape[:2], size, size), dtype=np.uint8)
    for start in range(0, len(images), IMAGES_AT_ONCE):
        # Pillow scales rows to whole grey levels first, and columns then.
        rows = _scale_rows(images[start : start + IMAGES_AT_ONCE], size)
        scaled[start : start + IMAGES_AT_ONCE] = _scale_rows(rows.swapaxes(2, 3), size).swapaxes(2, 3)
    return scaled


def _scale_rows(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Scale `[N,C,H,W]` to `[N,C,H,size]`: all rows of all images as those of one tall grey image."""
    import PIL.Image
    from PIL.Image import Resampling

    count, channels, height, width = images.shape
    tall = PIL.Image.fromarray(np.ascontiguousarray(images).reshape(-1, width))
    return np.asarray(tall.resize((size, tall.height), Resampling.BILINEAR)).reshape(count, channels, height, size)


def _scale(image: Image, size: int | None) -> Image:
    from PIL.Image import Resampling

    if size is None or image.size == (size, size):
        return image
    return image.resize((size, size), Resampling.BILINEAR)


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
