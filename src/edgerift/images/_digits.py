"""scikit-learn's embedded handwritten digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgerift.images._content import Content, Part, Source
from edgerift.images._fingerprint import derive
from edgerift.images._pixels import resize_pixels

SIDE = 32


class Digits(Source):
    """The 1,797 real digits of 8x8 pixels, their 17 grey levels spread over 0 to 255, scaled to 32x32.

    From the UCI repository, "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, 1998).
    """

    def fingerprint(self) -> str:
        """Hash the pixels and the labels."""
        images, labels = _load()
        return derive("digits", images.tobytes(), labels.tobytes())

    def read(self, fingerprint: str, size: int | None, cache: Path) -> Content:
        """Return the digits as one split; nothing is cached."""
        images, labels = _load()
        scaled = size is not None and size != SIDE
        if size is not None and scaled:
            images = resize_pixels(images, size)
        return Content({"train": Part(images, labels, None, scaled)}, tuple("0123456789"))


def _load() -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
    import sklearn.datasets

    levels, labels = sklearn.datasets.load_digits(return_X_y=True)
    grey = np.rint(levels.reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    return resize_pixels(np.repeat(grey, 3, axis=1), SIDE), labels.astype("<i8")
