"""Whether answers are a program's: their distance from its twin's, and the rule of what rounding explains.

A runtime rounds otherwise than the converted graph, by a level here and there, and a twin follows it. What that does
to the answers is measured: between the twin and the converted graph. The rule allows several times as much, since a
processor may round otherwise than the twin knows, and a small share of the answers' spread. It judges a build when it
is made, before its file is written, and a file that is brought as a program's build.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

import torch
from torch import Tensor

from edgerift.deploy.program._program import Program
from edgerift.deploy.program._spelling import read_program
from edgerift.deploy.twins._answers import answers_of, is_on_grid, output_step
from edgerift.deploy.twins._twin import Twin

#: How many times what rounding does answers may be away; beside that, a level of their grid or this share of their
#: spread. Builds that answer rightly equal their twin, or are 1 % of the spread away; those that lost an argument 13 %.
_TIMES: Final = 4.0
_SHARE: Final = 0.03
#: Levels that an answer may be off its program's grid: the last bits of float32 move it by 2e-5, the grid of a program
#: that was calibrated on other images, or trained by another epoch, by 0.01 and more.
_OFF_GRID: Final = 1e-3
#: More labels that rounding does not explain are another program's, of few images as many more as chance brings: where
#: there are many classes, the best of them can change while the scores as a whole hardly do.
_OTHER_LABELS: Final = 0.05
_CHANCE: Final = 3.0
#: How many images the rounding is measured on: the converted graph is slower than a twin.
_ROUNDED: Final = 64
#: Answers that are all alike spread by their last bits.
_LAST_BITS: Final = 1e-5
_SMALLEST_SPREAD: Final = 1e-12


@dataclass(frozen=True)
class Fidelity:
    """How far a build is from a twin, over `images` images.

    `equal_logits`: share of logits that are the same to the bit, in [0, 1]. `max_lsb`: the largest difference in
    levels of the output's grid. `label_disagreement`: share of images whose top class differs, in [0, 1]. `rms`: the
    root of the mean square of the differences, in standard deviations of the twin's logits. `explained`: how far
    rounding may bring them, in the same unit. `off_grid`: the most that a logit of the build is away from the program's
    output grid, in its levels; 0 without a grid. `other_labels`: share of images whose top class differs and is, for
    the twin, further behind than rounding explains, in [0, 1].
    """

    arithmetic: str
    images: int
    equal_logits: float
    max_lsb: float
    label_disagreement: float
    rms: float = 0.0
    explained: float = _SHARE
    off_grid: float = 0.0
    other_labels: float = 0.0

    def as_dict(self) -> dict[str, str | int | float]:
        """Return plain values for JSON."""
        return asdict(self)


def departure(program: Program, answers: Tensor, images: Tensor, model: Twin) -> Fidelity:
    """Compare answers to uint8 images with those of a program's twin.

    The program may be a part of one, which answers a feature map; that has no labels.
    """
    expected = answers_of(model, images)
    difference = (answers - expected).abs()
    graph = answers_of(read_program(program), images[:_ROUNDED])
    spread = max(float(expected.double().std(correction=0)), _LAST_BITS * float(expected.abs().max()), _SMALLEST_SPREAD)
    rounding = _root_mean_square(expected[:_ROUNDED] - graph) / spread
    step, on_grid = output_step(program), is_on_grid(program)
    explained = _TIMES * rounding + max(step / spread if on_grid else 0.0, _SHARE)
    levels = answers.double() / step
    behind = _behind(expected, answers) if answers.dim() == 2 else torch.zeros(1)
    return Fidelity(
        arithmetic=model.arithmetic,
        images=len(images),
        equal_logits=float((difference == 0).double().mean()),
        max_lsb=float(difference.max()) / step,
        label_disagreement=_label_disagreement(expected, answers),
        rms=_root_mean_square(difference) / spread,
        explained=explained,
        off_grid=float((levels - levels.round()).abs().max()) if on_grid else 0.0,
        other_labels=float((behind > 2 * explained * spread).double().mean()),
    )


def leaves_program(near: Fidelity) -> bool:
    """Return whether a build with the distance `near` is not of the program: rounding cannot explain it.

    Its logits are further from the twin's than four times what rounding does and 3 % of their spread (or a level of
    their grid, where that is more); or they are on another grid than the program's; or many images get a label that
    the twin has far behind. What is no number is never explained.
    """
    return (
        not near.rms <= near.explained
        or not near.off_grid <= _OFF_GRID
        or near.other_labels > _OTHER_LABELS + _CHANCE / near.images
    )


def _label_disagreement(expected: Tensor, answers: Tensor) -> float:
    return float((answers.flatten(1).argmax(1) != expected.flatten(1).argmax(1)).double().mean())


def _behind(expected: Tensor, answers: Tensor) -> Tensor:
    """How far the class that answers have on top is behind the expected one, by the expected logits."""
    return expected.amax(1) - expected.gather(1, answers.argmax(1, keepdim=True)).squeeze(1)


def _root_mean_square(values: Tensor) -> float:
    return float(values.double().square().mean().sqrt())
