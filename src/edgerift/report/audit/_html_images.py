"""The findings as pictures: the clean image, what was changed, and the attacked one, each inside the page."""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgerift.audit import EvasionPart, FindingPart
from edgerift.report.audit._rows import surest_first

_GREY = 128
_REACH = 127
#: Pictures in the page; the rest stays in the audit's folder. The second bound is for large images.
_MOST_FINDINGS = 200
_MOST_BYTES = 16_000_000

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """A finding with its three pictures as `data:` addresses; None where a file is missing or not an image.

    `genuine` says whether the attacked file holds the pixels that the audit recorded.
    """

    finding: FindingPart
    clean: str | None
    difference: str | None
    attacked: str | None
    amplification: int
    genuine: bool


def pictures(evasion: EvasionPart, folder: Path) -> tuple[list[Picture], list[FindingPart]]:
    """Read the findings' files: those to show, and the findings for which the page has no room.

    The main attack's come first, ordered by the confidence of the build in its wrong prediction.
    """
    ordered = surest_first(evasion)
    shown: list[Picture] = []
    size = 0
    for finding in ordered[:_MOST_FINDINGS]:
        picture = _picture(evasion, finding, folder)
        size += sum(len(part or "") for part in (picture.clean, picture.difference, picture.attacked))
        if shown and size > _MOST_BYTES:
            break
        shown.append(picture)
    return shown, ordered[len(shown) :]


def amplified(clean: Pixels, attacked: Pixels, factor: int) -> Pixels:
    """Draw the signed difference of two images around mid-grey, `factor` times as large.

    >>> clean, attacked = np.uint8([[10, 10, 10]]), np.uint8([[10, 18, 2]])
    >>> amplified(clean, attacked, 15).tolist()
    [[128, 248, 8]]
    """
    moved = attacked.astype(np.int32) - clean.astype(np.int32)
    return (_GREY + factor * moved).clip(0, 255).astype(np.uint8)


def amplification(epsilon: int) -> int:
    """Choose the factor that spreads a difference of `epsilon` grey levels over the whole range.

    >>> amplification(8), amplification(0)
    (15, 127)
    """
    return max(1, _REACH // max(1, epsilon))


def _picture(evasion: EvasionPart, finding: FindingPart, folder: Path) -> Picture:
    part = evasion.attacks.get(finding.attack)
    factor = amplification(part.attack.epsilon if part else finding.linf)
    clean, attacked = _pixels(folder, finding.clean_png), _pixels(folder, finding.attacked_png)
    return Picture(
        finding=finding,
        clean=None if clean is None else _address(clean),
        difference=_difference(clean, attacked, factor),
        attacked=None if attacked is None else _address(attacked),
        amplification=factor,
        genuine=attacked is not None and _digest(attacked) == finding.sha256,
    )


def _difference(clean: Pixels | None, attacked: Pixels | None, factor: int) -> str | None:
    if clean is None or attacked is None or clean.shape != attacked.shape:
        return None
    return _address(amplified(clean, attacked, factor))


def _pixels(folder: Path, name: str) -> Pixels | None:
    """Read a PNG file [H,W,3]; None unless it is one and lies inside the folder."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        return None
    try:
        with Image.open(path, formats=("PNG",)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _address(pixels: Pixels) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _digest(pixels: Pixels) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels.transpose(2, 0, 1)).tobytes()).hexdigest()
