"""The kinds of image files that are read: decoders of pixels alone, recognised by the first bytes of a file."""

from __future__ import annotations

from pathlib import Path

FORMATS = {
    "AVIF": (".avif",),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "JPEG2000": (".jp2", ".j2k"),
    "PNG": (".png", ".apng"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
"""Pillow's names and the suffixes of each; a format such as EPS, whose reader starts a program, is none of them."""

_SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)


def is_image(file: Path) -> bool:
    """Return whether a file is an image by its name."""
    return file.suffix.lower() in _SUFFIXES
