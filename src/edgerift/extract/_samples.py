"""A sheet of generated images."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import torch
from torch.nn import functional as F

from edgerift.extract._generator import Generator, squashed
from edgerift.images import in_channels
from edgerift.steps import write_whole

_SIDE: Final = 8
#: Small images are enlarged to about this, so that their pixels are visible.
_PIXELS: Final = 64


def draw_samples(generator: Generator, latent: int, path: Path, seed: int = 0) -> None:
    """Write a sheet of eight by eight images of a generator into a PNG file.

    The same generator gives the same bytes. Raises `StoreError` when the file cannot be written.
    """
    import PIL.Image

    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        images = squashed(generator(torch.randn(_SIDE * _SIDE, latent, generator=draws)))
    scale = max(1, _PIXELS // images.shape[2])
    large = F.interpolate(in_channels(images, 3).mul(255).round().to(torch.uint8), scale_factor=scale)
    sheet = F.pad(large, (1, 1, 1, 1), value=255).unflatten(0, (_SIDE, _SIDE)).permute(0, 3, 1, 4, 2)
    height, width = large.shape[2] + 2, large.shape[3] + 2
    buffer = io.BytesIO()
    PIL.Image.fromarray(sheet.reshape(_SIDE * height, _SIDE * width, 3).numpy()).save(buffer, "PNG")
    write_whole(path, buffer.getvalue())
