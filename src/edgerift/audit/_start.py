"""What an audit starts from: parts that belong together, classes in the model's order, an original that knows the data.

Where one of them fails, hours of work would measure something else, and so the audit stops unless it is told to go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, final

import torch
from torch import Tensor

from edgerift import zoo
from edgerift.adapt import known_classes, misread, weights_digest
from edgerift.audit._document_pair import FlagPart
from edgerift.audit._opened import Opened
from edgerift.audit._start_build import build_flags, twin_of_file
from edgerift.deploy import Provenance, fidelity, leaves_program
from edgerift.errors import InputError
from edgerift.images import open_splits
from edgerift.measure import Rate, accuracy, is_far_below, is_near_chance

#: Enough images to tell a build of another program, few enough to cost nothing.
_ASKED: Final = 256

_REASONS: Final = (
    "look at the order of the classes, the normalisation, the size of the images, and whether the original was made "
    "for this data"
)


def start_flags(opened: Opened, *, allow_mismatch: bool, allow_inaccurate: bool) -> tuple[FlagPart, ...]:
    """Check what an audit starts from, the cheap things first.

    A pair whose parts do not belong together, or an original that does not know the images, is an error; where it is
    allowed, a warning. Raises :class:`~edgerift.errors.InputError` for one that is not, and
    :class:`~edgerift.errors.ModelError` for classes that stand in another order.
    """
    checks, inaccurate = _Checks(opened), "--allow-inaccurate audits it all the same"
    return (
        checks.classes(),
        _allowed(checks.original(), allow_mismatch, "--allow-mismatch audits such a pair all the same"),
        _allowed(checks.build(), allow_mismatch, "--allow-mismatch audits such a pair all the same"),
        _allowed(checks.accuracy(), allow_inaccurate, inaccurate),
        *(_allowed(flag, allow_inaccurate, inaccurate) for flag in build_flags(opened)),
    )


def _allowed(flag: FlagPart, allowed: bool, option: str) -> FlagPart:
    if flag.level != "error":
        return flag
    if not allowed:
        raise InputError(f"{flag.seen}; {flag.action}, or {option}")
    return flag.replace(level="warning")


@final
class _Checks:
    """The checks of one audit's start."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    @property
    def _provenance(self) -> Provenance:
        """What the program says of itself; a build of another tool says nothing."""
        program = self._opened.program
        return Provenance(method="unknown") if program is None else program.provenance

    def classes(self) -> FlagPart:
        """Compare the class names of original and program with those of the images."""
        opened, given = self._opened, self._opened.test.classes
        known, made = known_classes(opened.pair.original), self._provenance.classes
        for names in (known, made):
            zoo.check_classes(names, given, opened.test.name)
        named = known or made
        unknown = [(mine, theirs) for mine, theirs in zip(named, given, strict=False) if mine not in given]
        seen = f"the model and the images name {len(named) - len(unknown)} of {len(given)} classes alike"
        if not named:
            seen = "neither the original nor the program says what its classes are called"
        elif unknown:
            seen += f"; what is {unknown[0][1]!r} here was {unknown[0][0]!r} in the model's training"
        return FlagPart(
            name="class-names",
            level="note" if unknown else "ok",
            seen=seen,
            meaning="with the classes in another order every label is wrong; other names can hide that",
            action="check that both lists mean the same classes in the same order" if unknown else "none",
        )

    def original(self) -> FlagPart:
        """Compare the original with the one that the program says it was made from."""
        made_from = self._provenance.original
        is_another = bool(made_from) and made_from != weights_digest(self._opened.pair.original)
        whose = "build" if self._opened.program is None else "program"
        seen = f"the {whose} was made from the original"
        if not made_from:
            seen = f"the {whose} does not say what it was made from"
        return FlagPart(
            name="pair-original",
            level="error" if is_another else "ok",
            seen="the program was made from another original than this one" if is_another else seen,
            meaning="between unrelated models every difference counts, including those of training",
            action="give the original that the program was adapted from" if is_another else "none",
        )

    def build(self) -> FlagPart:
        """Compare the build with its program's twin, or with the one that its own file gives."""
        opened = self._opened
        if opened.program is None:
            return twin_of_file(opened, self._sample())
        near = fidelity(opened.program, opened.pair.build, self._sample())
        is_another = leaves_program(near)
        return FlagPart(
            name="pair-build",
            level="error" if is_another else "ok",
            seen=f"the build {'was not compiled from' if is_another else 'answers as'} this program: "
            f"{near.label_disagreement:.1%} of {near.images} images get another label, {near.equal_logits:.1%} of the "
            f"logits are equal, the largest difference is {near.max_lsb:g} levels",
            meaning="a build of another program is attacked with the wrong gradients and compared with the wrong "
            "original",
            action="compile the program anew, or give the one that the build was compiled from"
            if is_another
            else "none",
        )

    def _sample(self) -> Tensor:
        images = self._opened.test.images
        return images[torch.linspace(0, len(images) - 1, min(len(images), _ASKED)).long()]

    def accuracy(self) -> FlagPart:
        """Compare the original's accuracy with chance, and with what its training measured."""
        opened = self._opened
        labels, model = opened.test.labels, opened.pair.original
        found = accuracy(opened.clean[0], labels)
        learned = model.learned if isinstance(model, zoo.Classifier) else None
        counts = torch.bincount(labels, minlength=len(opened.test.classes))
        wrong = [
            *_near_chance(found, Rate(int(counts.max()), len(labels)), len(counts)),
            *_fallen(found, learned, len(counts)),
            *_below_build(found, accuracy(opened.clean[1], labels), len(counts)),
        ]
        return FlagPart(
            name="accuracy",
            level="error" if wrong else "ok",
            seen="; ".join([f"the original gets {found} of the test images of {opened.test.name} right", *wrong]),
            meaning="an original that does not know the images says nothing about what a build lost",
            action=self._reason() if wrong else "none",
        )

    def _reason(self) -> str:
        """Say what may be wrong with the original, by images that nothing is reported on."""
        model = self._opened.pair.original
        if not isinstance(model, zoo.Classifier) or model.architecture.specification is None:
            return _REASONS
        found = misread(
            model,
            open_splits(self._opened.images).validation,
            accuracy(self._opened.clean[1], self._opened.test.labels),
        )
        return _REASONS if found is None else f"{found}; give it with --input"


def _near_chance(found: Rate, commonest: Rate, classes: int) -> Iterator[str]:
    """Word an accuracy that chance explains."""
    if is_near_chance(found, commonest, classes):
        yield f"always predicting the most common class reaches {commonest.value:.1%}"


def _below_build(found: Rate, build: Rate, classes: int) -> Iterator[str]:
    """Word an accuracy that is far below that of what was made of the original."""
    if is_far_below(found, build, classes):
        yield f"the build gets {build.value:.1%} right"


def _fallen(found: Rate, learned: zoo.Learned | None, classes: int) -> Iterator[str]:
    """Word an accuracy that is far below what training measured, by the exact intervals of both."""
    if learned is None or learned.accuracy is None or learned.images is None:
        return
    before = Rate(round(learned.accuracy * learned.images), learned.images)
    if is_far_below(found, before, classes):
        yield f"its training measured {learned.accuracy:.1%} on {learned.images} images of {learned.data} held out"
