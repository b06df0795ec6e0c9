"""What to do with a build that does not conform: make another one of the same original."""

from __future__ import annotations

from typing import Literal, TypeAlias

from torch import nn

from edgerift.adapt import PtqSettings, RoundingSettings, ptq, reround
from edgerift.deploy import Program, Target
from edgerift.images import ImageSet
from edgerift.steps import Progress, silent
from edgerift.verify._document import Verification

Repair: TypeAlias = Literal["requantize", "reround"]
"""How another build is made: with the nearest codes, or with roundings that are chosen by a loss."""


def chosen_repair(found: Verification) -> Repair:
    """Choose a repair by what a verification found.

    An original whose weights were moved inside of their codes gives the same codes again when it is rounded to the
    nearest, so its roundings have to be chosen; any other deviation is gone with another quantization.
    """
    truncation = found.check("truncation")
    return "reround" if truncation is not None and truncation.verdict == "deviates" else "requantize"


def repaired(
    original: nn.Module,
    train: ImageSet,
    *,
    target: Target,
    by: Repair = "requantize",
    calibration: PtqSettings | None = None,
    rounding: RoundingSettings | None = None,
    progress: Progress = silent,
) -> Program:
    """Quantize an original after its training, and choose the roundings anew where `by` says so.

    Nothing of the build that did not conform is used. See :func:`~edgerift.adapt.reround` for what `reround` does, and
    :func:`~edgerift.adapt.ptq` for what is raised.
    """
    program = ptq(original, train, target=target, settings=calibration, progress=progress)
    if by == "requantize":
        return program
    return reround(original, program, train, settings=rounding, progress=progress)
