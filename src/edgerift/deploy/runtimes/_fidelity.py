"""How far a twin and a build are apart: the check that gradients belong to what the device computes."""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass
from typing import Final

import torch
from torch import Tensor

from edgerift.deploy.program._program import Program
from edgerift.deploy.runtimes._build import RUNTIMES, Build
from edgerift.deploy.twins._answers import answers_of, is_on_grid, output_step
from edgerift.deploy.twins._twin import Twin, twin
from edgerift.errors import RecipeError
from edgerift.measure import MODULE_CALL, Logits

_SMALLEST_SPREAD: Final = 1e-12

#: Below this share of equal logits, and above this difference in levels, two grids are not the same one.
_EQUAL_LOGITS: Final = 0.1
_LAST_BITS: Final = 0.1
#: Without a grid, what rounding moves inside a network comes to far less than this.
_OTHER_LOGITS: Final = 0.05
#: More labels than that are another program's; of few images as many more as chance brings.
_OTHER_LABELS: Final = 0.05
_CHANCE: Final = 3.0


@dataclass(frozen=True)
class Fidelity:
    """How far a build is from a twin, over `images` images.

    `equal_logits`: share of logits that are the same to the bit, in [0, 1]. `max_lsb`: the largest difference in
    levels of the output's grid. `label_disagreement`: share of images whose top class differs, in [0, 1]. `rms`: the
    root of the mean square of the differences, in standard deviations of the twin's logits.
    """

    arithmetic: str
    images: int
    equal_logits: float
    max_lsb: float
    label_disagreement: float
    rms: float = 0.0

    def as_dict(self) -> dict[str, str | int | float]:
        """Return plain values for JSON."""
        return asdict(self)


def fidelity(program: Program, build: Build, images: Tensor, *, candidate: Twin | None = None) -> Fidelity:
    """Compare a build with the twin of its program that follows its runtime's arithmetic.

    `images` is uint8 `[N,3,H,W]`. `candidate` compares with another twin instead. Raises
    :class:`~edgerift.errors.RecipeError` when there are no images.
    """
    if len(images) == 0:
        raise RecipeError("fidelity needs at least one image")
    model = candidate or twin(program, RUNTIMES[build.runtime].arithmetic)
    answers = build.predict(images)
    expected = answers_of(model, images)
    difference = (answers - expected).abs()
    return Fidelity(
        arithmetic=model.arithmetic,
        images=len(images),
        equal_logits=float((difference == 0).double().mean()),
        max_lsb=float(difference.max()) / output_step(program),
        label_disagreement=float((answers.argmax(1) != expected.argmax(1)).double().mean()),
        rms=float(difference.double().square().mean().sqrt()) / max(float(expected.double().std()), _SMALLEST_SPREAD),
    )


def leaves_program(program: Program, near: Fidelity) -> bool:
    """Tell whether a build that is `near` a program's twin is one of another program: rounding cannot explain it.

    Logits that a program puts on a grid are whole levels of it, and rounding moves some of them by a few levels. Where
    hardly any is equal, without being so but for the last bit of a float, they are on the grid of another program.
    Logits without a grid have to be near by their size. Many other labels tell in any case.
    """
    if is_on_grid(program):
        leaves = near.equal_logits < _EQUAL_LOGITS and near.max_lsb > _LAST_BITS
    else:
        leaves = near.rms > _OTHER_LOGITS
    return leaves or near.label_disagreement > _OTHER_LABELS + _CHANCE / near.images


def twin_scores(model: torch.nn.Module, images: Tensor, batch: int = 256) -> Tensor:
    """Compute a module's logits float32 `[N,K]` of uint8 images, in batches and without gradients.

    Where it answers probabilities these are their logarithms, as :class:`~edgerift.measure.Logits` takes them. Raises
    :class:`~edgerift.errors.ModelError` for what the module raises, or an answer that is no `[N,K]`.
    """
    return module_logits(model, "the model", batch)(images)


def module_logits(model: torch.nn.Module, whose: str, batch: int = 256) -> Logits:
    """Make what answers uint8 images with a module's logits; messages name it as `whose`. See :func:`twin_scores`."""
    return Logits(functools.partial(answers_of, model, batch=batch), whose, MODULE_CALL)
