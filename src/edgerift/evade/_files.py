"""Evidence: images as PNG files, and the judgement of what such a file holds."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from edgerift.errors import DataError
from edgerift.evade._pair import Victim


def png_bytes(image: Tensor) -> bytes:
    """Write a uint8 image `[3,H,W]` as a PNG file without loss: greyscale where its channels are equal, else RGB."""
    buffer = io.BytesIO()
    pixels = image[0] if bool((image[1:] == image[:1]).all()) else image.permute(1, 2, 0)
    Image.fromarray(pixels.contiguous().numpy()).save(buffer, "PNG")
    return buffer.getvalue()


def read_png(content: bytes | Path) -> Tensor:
    """Read a PNG file as a uint8 image `[3,H,W]`, a greyscale one with three equal channels.

    Raises :class:`~edgerift.errors.DataError` for anything else.
    """
    try:
        data = content.read_bytes() if isinstance(content, Path) else content
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            pixels = np.array(image.convert("RGB"))
    # Pillow calls a damaged chunk a syntax error.
    except (OSError, SyntaxError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        name = content if isinstance(content, Path) else "these bytes"
        raise DataError(f"{name} is no readable PNG file: {error}") from None
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def judged_from_png(victim: Victim, image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Answer one uint8 image `[3,H,W]` through its PNG file, alone: the original's and the build's logits `[K]`."""
    decoded = read_png(png_bytes(image))[None]
    return victim.original_scores(decoded)[0], victim.build_scores(decoded, label[None])[0]
