"""scikit-learn's embedded handwritten digits."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgerift.images._content import Content, Part, Source
from edgerift.images._fingerprint import derive
from edgerift.images._pixels import resize_pixels
from edgerift.images._shape import Size

SIDE = 32


class Digits(Source):
    """The 1,797 real digits of 8x8 pixels, their 17 grey levels spread over 0 to 255, scaled to 32x32.

    From the UCI repository, "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, 1998).
    """

    def fingerprint(self) -> str:
        """Hash the pixels, those of three equal channels as version 0.1 had them, and the labels."""
        return _fingerprint()

    def read(self, fingerprint: str, size: Size | None, cache: Path) -> Content:
        """Return the digits as one split; nothing is written to `cache`."""
        known, truth = _load()
        grey, labels = known.copy(), truth.copy()
        scaled = size is not None and size != SIDE
        if size is not None and scaled:
            # No note says so: they are scaled at any size.
            grey = resize_pixels(grey, size)
        return Content({"train": Part(grey, labels, None, scaled)}, tuple("0123456789"))


@functools.cache
def _fingerprint() -> str:
    grey, labels = _load()
    return derive("digits", np.repeat(grey, 3, axis=1).tobytes(), labels.tobytes())


@functools.cache
def _load() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the grey levels, uint8 `[N,1,32,32]`, and the labels, int64 `[N]`."""
    import sklearn.datasets

    levels, labels = sklearn.datasets.load_digits(return_X_y=True)
    grey = np.rint(levels.reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    return resize_pixels(grey, SIDE), labels.astype("<i8")
