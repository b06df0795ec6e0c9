"""The distance between a twin and a build: the check that gradients belong to what the device computes."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from edgerift.deploy.builds._departure import Fidelity, departure, distance
from edgerift.deploy.builds._own_twin import own_twin
from edgerift.deploy.builds._runtime import RUNTIMES, Build
from edgerift.deploy.program._program import Program
from edgerift.deploy.twins._answers import answers_of
from edgerift.deploy.twins._twin import Twin, twin
from edgerift.errors import RecipeError
from edgerift.measure import MODULE_CALL, Logits


def fidelity(program: Program | None, build: Build, images: Tensor, *, candidate: Twin | None = None) -> Fidelity:
    """Compare a build with the twin of its program that follows its runtime's arithmetic, or with its own.

    `images` is uint8 `[N,C,H,W]`. `candidate` is another twin to compare with. Without a program the twin is the one
    that the build's file gives (see :func:`own_twin`). Raises :class:`~edgerift.errors.RecipeError` when there are no
    images, and :class:`~edgerift.errors.ModelError` without a program where the file gives no twin.
    """
    if len(images) == 0:
        raise RecipeError("fidelity needs at least one image")
    if program is None:
        own = own_twin(build)
        return distance(build.predict(images), answers_of(own, images), own.arithmetic, own.step or 1.0)
    model = candidate or twin(program, RUNTIMES[build.runtime].arithmetic)
    return departure(program, build.predict(images), images, model)


def twin_scores(model: torch.nn.Module, images: Tensor, batch: int = 256) -> Tensor:
    """Compute a module's logits float32 `[N,K]` for uint8 images, in batches and without gradients.

    If it returns probabilities, these are their logarithms, as :class:`~edgerift.measure.Logits` takes them. Raises
    :class:`~edgerift.errors.ModelError` for what the module raises, or an answer that is not `[N,K]`.
    """
    return module_logits(model, "the model", batch)(images)


def module_logits(model: torch.nn.Module, whose: str, batch: int = 256) -> Logits:
    """Make a function from uint8 images to a module's logits; messages name it as `whose`. See :func:`twin_scores`."""
    return Logits(functools.partial(answers_of, model, batch=batch), whose, MODULE_CALL)
