"""One finding of an audit, as its document describes it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, TypeAlias

from pydantic import AfterValidator

from edgerift.audit._frameworks import EVASION
from edgerift.settings import Settings


def _inside(name: str) -> str:
    """Return the name of a file in a folder; raises `ValueError` for one that leads out of it."""
    path = PurePosixPath(name)
    if not name.isprintable() or "\\" in name or path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError("it must be the name of a file in the audit's folder")
    return name


InsideName: TypeAlias = Annotated[str, AfterValidator(_inside)]
"""The name of a file in the audit's folder, from that folder; nothing outside of it is opened."""


class FindingPart(Settings):
    """One evasive image: the original gets it right, the build gets it wrong, replayed from `attacked_png`.

    Labels are class numbers, probabilities are in [0, 1], distances as in `AttackPart`. The build gives its wrong
    answer `build_probability` and the right class `build_right_probability`; the latter is None in documents that were
    written without it. Paths are relative to the audit's folder; `sha256` is that of the attacked image's pixels, uint8
    [3,H,W]. `maps_to` names the entries of catalogues of threats that such an image is an example of.
    """

    id: str
    index: int
    attack: str
    label: int
    original_label: int
    original_probability: float
    build_label: int
    build_probability: float
    build_right_probability: float | None = None
    step: int
    linf: int
    l2: float
    ssim: float
    sha256: str
    clean_png: InsideName
    attacked_png: InsideName
    maps_to: tuple[str, ...] = EVASION
