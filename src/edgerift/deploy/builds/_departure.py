"""Whether answers are a program's: their distance from its twin's, and the threshold of what rounding explains.

A runtime rounds differently from the converted graph, by a level in places, and a twin follows it. The effect on the
answers is measured between the twin and the converted graph. The threshold is several times that, since a CPU may
round in ways that the twin does not model, plus a small share of the answers' standard deviation. It applies to a build
when it is made, before its file is written, and to a file that is given as a program's build.
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
from edgerift.images import in_channels

#: The allowed multiple of the effect of rounding; besides, a level of their grid or this share of their standard
#: deviation. Correct builds equal their twin or are 1 % of it away; those that lost an argument 13 %.
_TIMES: Final = 4.0
_SHARE: Final = 0.03
#: The allowed distance from the program's grid, in levels: the last bits of float32 shift an answer by 2e-5, the grid
#: of a program calibrated on other images, or trained for another epoch, by 0.01 and more.
_OFF_GRID: Final = 1e-3
#: A larger share of labels that rounding does not explain means another program; with few images more are allowed, as
#: chance requires. With many classes the top-1 class can change while the scores as a whole hardly do.
_OTHER_LABELS: Final = 0.05
_CHANCE: Final = 3.0
#: The number of images for measuring the rounding: the converted graph is slower than a twin.
_ROUNDED: Final = 64
#: Constant answers vary only in their last bits.
_LAST_BITS: Final = 1e-5
_SMALLEST_SPREAD: Final = 1e-12


@dataclass(frozen=True)
class Fidelity:
    """The distance of a build from a twin, over `images` images.

    `equal_logits`: share of logits that are bit-equal, in [0, 1]. `max_lsb`: the largest difference in
    levels of the output's grid. `label_disagreement`: share of images whose top-1 class differs, in [0, 1]. `rms`: the
    root of the mean square of the differences, in standard deviations of the twin's logits. `explained`: the
    distance that rounding explains, in the same unit. `off_grid`: the largest distance of a logit of the build from the
    program's output grid, in its levels; 0 without a grid. `other_labels`: share of images whose top-1 class differs by
    a larger margin of the twin than rounding explains, in [0, 1].
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

    The program may be a part of one, which returns a feature map; that has no labels.
    """
    images = in_channels(images, program.shape.channels)
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


def distance(answers: Tensor, expected: Tensor, arithmetic: str, step: float) -> Fidelity:
    """Compare answers with a twin's, neighbouring ones of which are `step` apart."""
    difference = (answers - expected).abs()
    spread = max(float(expected.double().std(correction=0)), _SMALLEST_SPREAD)
    return Fidelity(
        arithmetic=arithmetic,
        images=len(answers),
        equal_logits=float((difference == 0).double().mean()),
        max_lsb=float(difference.max()) / step,
        label_disagreement=_label_disagreement(expected, answers),
        rms=_root_mean_square(difference) / spread,
    )


def leaves_program(near: Fidelity) -> bool:
    """Return whether a build with the distance `near` is not of the program: rounding cannot explain it.

    Its logits are further from the twin's than four times what rounding does and 3 % of their spread (or a level of
    their grid, where that is more); or they are on another grid than the program's; or many images get a label that
    the twin ranks far behind. NaN is never explained.
    """
    return (
        not near.rms <= near.explained
        or not near.off_grid <= _OFF_GRID
        or near.other_labels > _OTHER_LABELS + _CHANCE / near.images
    )


def _label_disagreement(expected: Tensor, answers: Tensor) -> float:
    return float((answers.flatten(1).argmax(1) != expected.flatten(1).argmax(1)).double().mean())


def _behind(expected: Tensor, answers: Tensor) -> Tensor:
    """The margin of the expected top-1 class over the one of the answers, in the expected logits."""
    return expected.amax(1) - expected.gather(1, answers.argmax(1, keepdim=True)).squeeze(1)


def _root_mean_square(values: Tensor) -> float:
    return float(values.double().square().mean().sqrt())
