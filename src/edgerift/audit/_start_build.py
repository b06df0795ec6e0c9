"""What is checked of a build of another tool before an audit: its twin, and whether it knows the images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor

from edgerift.audit._document_pair import FlagPart
from edgerift.audit._opened import Opened
from edgerift.deploy import GivenBuild, fidelity, open_build
from edgerift.measure import Rate, accuracy
from edgerift.specification import Specification, explain

#: A build is far below its original when it has surely lost this part of what that has beyond guessing.
_LOST: Final = 0.25
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
        f"images are equal, {near.label_disagreement:.1%} get another label, the largest difference is {near.max_lsb:g}",
        meaning=meaning,
        action="none" if near.label_disagreement < 0.01 else "say with --input how the model wants its images",
    )


def build_fallen(opened: Opened, original: Rate, classes: int) -> Iterator[str]:
    """Word a build's accuracy that is far below its original's, and the specification that would explain it.

    Only builds of other tools can be read by a wrong specification; one of a program is compared with that.
    """
    if opened.program is not None:
        return
    found = accuracy(opened.clean[1], opened.test.labels)
    guessed = 1 / classes
    if found.high >= guessed + (1 - _LOST) * (original.low - guessed):
        return
    told = f"the build gets {found} of them right"
    explained = _explained(opened)
    yield f"{told}; {explained}" if explained else told


def _explained(opened: Opened) -> str:
    """Look for another specification with which the build knows the training images."""
    recipe = opened.settings.build
    if not isinstance(recipe, GivenBuild):
        return ""
    train = opened.train
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:_TRIED]
    images, labels = train.images[chosen], train.labels[chosen]
    path = opened.store.get(recipe) / recipe.artefact

    def ask(specification: Specification) -> Tensor:
        return open_build(path, recipe.runtime, trust=recipe.trust, specification=specification).predict(images)

    used = getattr(opened.pair.build, "specification", recipe.specification)
    better = explain(ask, labels, used)
    return "" if better is None else str(better)
