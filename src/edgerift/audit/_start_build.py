"""What is checked of a build of another tool before an audit: its twin, and whether it knows the images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor

from edgerift.audit._document_pair import FlagPart
from edgerift.audit._opened import Opened
from edgerift.deploy import OpenedBuild, fidelity
from edgerift.measure import accuracy, is_far_below
from edgerift.specification import Specification, explain

#: Enough labelled images to tell specifications apart.
_TRIED: Final = 200


def twin_of_file(opened: Opened, images: Tensor) -> FlagPart:
    """Compare a build with the twin that its own file gives, where it gives one."""
    meaning = "gradients come from the twin; where it differs from the device, the gradients point the wrong way"
    if opened.no_twin:
        return FlagPart(
            name="pair-build",
            level="warning",
            seen=f"the build has no twin: {opened.no_twin}; gradients are estimated from its answers",
            meaning="estimated gradients are coarse: an attacker with a twin finds at least as much",
            action="raise --steps, or export the model with operators that have a translation",
        )
    near = fidelity(None, opened.pair.build, images)
    kind = "exact" if near.equal_logits == 1 else "near"
    return FlagPart(
        name="pair-build",
        level="ok" if near.label_disagreement < 0.01 else "error",
        seen=f"the twin of the build's own file is {kind}: {near.equal_logits:.2%} of the logits of {near.images} "
        f"images are equal, {near.label_disagreement:.1%} get other labels, the largest difference is {near.max_lsb:g}",
        meaning=meaning,
        action="none" if near.label_disagreement < 0.01 else "say with --build-input how the build wants its images",
    )


def build_flags(opened: Opened) -> Iterator[FlagPart]:
    """Compare a build's accuracy with its original's, and look for the specification that would explain a difference.

    Only builds of other tools can be read by a wrong specification; one of a program is compared with that.
    """
    if opened.program is not None:
        return
    labels, classes = opened.test.labels, len(opened.test.classes)
    original, found = (accuracy(answers, labels) for answers in opened.clean)
    has_fallen = is_far_below(found, original, classes)
    explained = _explained(opened) if has_fallen else ""
    seen = f"the build gets {found} of the test images right, the original {original}"
    yield FlagPart(
        name="build-accuracy",
        level="error" if has_fallen else "ok",
        seen=f"{seen}; {explained}" if explained else seen,
        meaning="a build that is shown other images than it was made for says nothing about quantization",
        action="say with --build-input how the build wants its images" if has_fallen else "none",
    )
    # Read now, and not after the work, since a file from elsewhere may not tell.
    share = opened.pair.build.integer_macs()
    yield FlagPart(
        name="integer-kernels",
        level="note" if share == 0 else "ok",
        seen=f"{share:.1%} of the build's multiply-accumulates run in integer kernels"
        + ("; it computes in float" if share == 0 else ""),
        meaning="what a float build gets wrong has other causes than integer kernels: training, pruning, precision",
        action="give the int8 file if that is what ships" if share == 0 else "none",
    )


def _explained(opened: Opened) -> str:
    """Look for another specification with which the build knows the training images."""
    build, train = opened.pair.build, opened.train
    if not isinstance(build, OpenedBuild):
        return ""
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:_TRIED]
    images, labels = train.images[chosen], train.labels[chosen]

    def ask(specification: Specification) -> Tensor:
        return build.read_as(specification).predict(images)

    better = explain(ask, labels, build.specification)
    return "" if better is None else str(better)
