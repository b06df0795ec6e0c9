"""Evidence: images as PNG files, and the models' answers to such a file."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from edgerift.errors import DataError, first_line
from edgerift.evade._pair import Victim
from edgerift.images import in_channels
from edgerift.settings import Document

_LARGEST_SIDE: Final = 4096
_GREY_MODES: Final = ("L", "1")


def png_bytes(image: Tensor) -> bytes:
    """Write a uint8 image `[C,H,W]` as a PNG file without loss: greyscale for one channel, or equal ones, else RGB."""
    buffer = io.BytesIO()
    pixels = image[0] if bool((image[1:] == image[:1]).all()) else image.permute(1, 2, 0)
    Image.fromarray(pixels.contiguous().numpy()).save(buffer, "PNG")
    return buffer.getvalue()


def read_png(content: bytes | Path) -> Tensor:
    """Read a PNG file as a uint8 image `[C,H,W]`: of one channel where the file is greyscale, else of three.

    Raises :class:`~edgerift.errors.DataError` for anything else.
    """
    name = content if isinstance(content, Path) else "these bytes"
    data = content if isinstance(content, bytes) else Document(content, "image", "give a PNG file", DataError).content()
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            if max(image.size) > _LARGEST_SIDE:
                raise ValueError(f"{image.width} x {image.height} pixels, at most {_LARGEST_SIDE} a side are read")
            pixels = np.array(image.convert("L" if image.mode in _GREY_MODES else "RGB"))
    except Exception as error:  # Pillow's decoders raise errors of every kind for damaged bytes.
        told = "it is cut short, or no PNG" if isinstance(error, UnidentifiedImageError) else first_line(error)
        raise DataError(f"{name} is no readable PNG file ({told}); copy or save it again") from None
    return torch.from_numpy(pixels[:, :, None] if pixels.ndim == 2 else pixels).permute(2, 0, 1).contiguous()


def from_png(image: Tensor) -> Tensor:
    """Give a uint8 image `[C,H,W]` back as its PNG file holds it, with as many channels."""
    # An image in colour may happen to be grey, and then its file is.
    return in_channels(read_png(png_bytes(image))[None], len(image))[0]


def judged_from_png(victim: Victim, image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Query both models with one uint8 image `[C,H,W]` through its PNG file, alone: logits `[K]` each."""
    decoded = from_png(image)[None]
    return victim.original_scores(decoded)[0], victim.build_scores(decoded, label[None])[0]
