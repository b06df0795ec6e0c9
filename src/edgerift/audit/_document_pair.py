"""The audit's inputs: the images, the pair, and the checks of the evaluation."""

from __future__ import annotations

from typing import Literal

from edgerift.deploy import Fingerprint, Provenance, Target
from edgerift.images import ImageSize
from edgerift.measure import Interval
from edgerift.settings import Settings


class DataPart(Settings):
    """The test images: where they come from, and how many there are.

    `size` is the side of a square or (height, width), in pixels.
    `grey` says whether they are greyscale, and so stayed grey under attack; None in audits of earlier versions.
    """

    name: str
    source: str
    split: Literal["test"] = "test"
    size: ImageSize
    seed: int
    fingerprint: str
    classes: tuple[str, ...]
    images: int
    grey: bool | None = None


class FlagPart(Settings):
    """One check of the evaluation itself: what was seen, what it means, what to do."""

    name: str
    level: Literal["ok", "note", "warning", "error"]
    seen: str
    meaning: str
    action: str


class PairPart(Settings):
    """The pair: what it is, and its accuracy before any attack.

    `model` is the original's architecture, such as `resnet8`; None in documents that were written without it. `flags`
    are the checks of what the audit starts from: whether the parts belong together and to the images.
    """

    model: str | None = None
    target: Target
    runtime: str
    provenance: Provenance
    fingerprint: Fingerprint
    original_sha256: str
    program_sha256: str
    integer_macs: float
    original_accuracy: Interval
    build_accuracy: Interval
    instability: Interval
    only_original_right: Interval
    only_build_right: Interval
    flags: tuple[FlagPart, ...] = ()
