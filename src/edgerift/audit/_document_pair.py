"""The audit's inputs: the images, the pair, and the checks of the evaluation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgerift.deploy import Fingerprint, Provenance, Target
from edgerift.images import ImageSize
from edgerift.measure import Interval
from edgerift.settings import Settings, is_none
from edgerift.specification import Guard, Specification


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


class GuardPart(Settings):
    """The guard by which the build abstains, and what it does to clean test images.

    `coverage`: images that are answered; `accuracy`: of these, the share answered rightly, None where none is.
    `only_original_right`: images that the original gets right and the build answers, wrongly.
    """

    guard: Guard
    coverage: Interval
    accuracy: Interval | None
    only_original_right: Interval


class PairPart(Settings):
    """The pair: what it is, and its accuracy before any attack.

    `model` is the original's architecture, such as `resnet8`, or the kind of its file, such as `onnx`; None in
    documents that were written without it. `original_file` and `build_file` name the files of other tools that this
    run was given; None for edgerift's own.
    `target`, `provenance` and `program_sha256` are None for a build of another tool, which has no program; then
    `specification` says how it wants its images. `gradients` says where those of the attacks come from: the program's
    twin, the twin that the build's own file gives, or the build's answers. `flags` are the checks of what the audit
    starts from: whether the parts belong together and to the images. `guard` is None for a build that answers every
    image; accuracies and disagreements are those of all images, answered or not.
    """

    model: str | None = None
    original_file: str | None = None
    build_file: str | None = None
    target: Target | None
    runtime: str
    provenance: Provenance | None
    gradients: Literal["program", "file", "answers"] = "program"
    specification: Specification = Specification()
    fingerprint: Fingerprint
    original_sha256: str
    program_sha256: str | None
    integer_macs: float
    original_accuracy: Interval
    build_accuracy: Interval
    instability: Interval
    only_original_right: Interval
    only_build_right: Interval
    flags: tuple[FlagPart, ...] = ()
    guard: GuardPart | None = Field(default=None, exclude_if=is_none)

    @property
    def adaptation(self) -> str:
        """How the build was made, in words."""
        if self.provenance is None or self.target is None:
            return f"{self.build_file or 'a build'} of another tool"
        return f"{self.provenance.method} for {self.target}"
