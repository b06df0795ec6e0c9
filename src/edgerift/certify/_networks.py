"""The two networks of a pair as plans, and what bounds on them say of a box."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, final

import torch
from torch import Tensor, fx

from edgerift.adapt import float_graphs, written_graph
from edgerift.certify._bounds import Bounds
from edgerift.certify._box import Box
from edgerift.certify._margins import Head, Leads
from edgerift.certify._plan import Plan, UnalignedError, plan_of
from edgerift.certify._walk import Arithmetic, walk
from edgerift.deploy import RUNTIMES, Program, integer_layers
from edgerift.errors import InputError
from edgerift.evade import FloatBuild, Pair
from edgerift.images import ImageShape
from edgerift.zoo import channels_of

#: Twins follow the kernels of these arithmetics to the bit: each of their roundings is to the nearest level.
_EXACT: Final = ("xnnpack", "onnxruntime")


@final
@dataclass(frozen=True)
class Networks:
    """A pair's two networks.

    `joint` is the build beside the original. Where these two have different operators it is the build alone, and
    `alone` the original. The original's answers to any image differ by at most `error` `[K]` from those of the graph
    that `joint` has of it, computed without rounding.
    """

    joint: Plan
    alone: Plan | None
    channels: int
    arithmetic: Arithmetic
    error: Tensor

    @property
    def is_same(self) -> bool:
        """Whether the build computes as the original does, with the same numbers."""
        steps = self.joint.steps
        return self.alone is None and all(not step.rounds and _is_same(step.original, step.build) for step in steps)

    def bounded(self, images: Tensor, epsilon: int, labels: Tensor) -> tuple[Leads, Bounds]:
        """Bound the classes' leads over the labels `[N]`, and the logits, in the boxes of uint8 images `[N,C,H,W]`."""
        box = Box(images, epsilon, self.channels)
        leads, logits = _ends(self.joint, box, labels, self.arithmetic)
        if self.alone is not None:
            others, original = _ends(self.alone, box, labels, Arithmetic())
            unknown = torch.full_like(leads.change, float("inf"))
            leads = replace(leads, original=others.original, change=unknown)
            logits = replace(logits, original=original.original)
        return leads, logits


def networks_of(pair: Pair, shape: ImageShape, levels: int | None) -> Networks:
    """Export and align a pair's two networks, which are shown images of this shape.

    Raises :class:`~edgerift.errors.InputError` for a build without a program.
    """
    if pair.program is not None:
        return _of_program(pair, pair.program, levels)
    if not isinstance(pair.build, FloatBuild):
        raise InputError(
            f"no certificate for this {pair.build.runtime} build: its program is needed, which `edgerift adapt` writes"
        )
    shape = shape._replace(channels=channels_of(pair.original, shape))
    written, other = (written_graph(model, shape) for model in (pair.original, pair.build.model))
    joint, alone = _aligned(other, written)
    return Networks(joint, alone, shape.channels, Arithmetic(), _error(written, shape))


def _of_program(pair: Pair, program: Program, levels: int | None) -> Networks:
    written, adapted = float_graphs(pair.original, program)
    joint, alone = _aligned(program.module(), adapted)
    arithmetic = _arithmetic(program, pair.build.runtime, levels)
    return Networks(joint, alone, program.shape.channels, arithmetic, _error(written, program.shape))


def _aligned(build: fx.GraphModule, original: fx.GraphModule) -> tuple[Plan, Plan | None]:
    try:
        return plan_of(build, original), None
    except UnalignedError:
        return plan_of(build, build), plan_of(original, original)


def _error(written: fx.GraphModule, shape: ImageShape) -> Tensor:
    """Bound what float32 rounds away in an original's logits, whatever the image is.

    The bounds on an original are those of a graph in which normalisations are folded; folding rounds less than
    computing them does, so that this graph is as near to the exact one as the original is.
    """
    plan = plan_of(written, written)
    box = Box(torch.zeros(1, *shape, dtype=torch.uint8), 255, shape.channels)
    found = walk(plan, box, Arithmetic(), {plan.logits})[plan.logits]
    return 2 * found.change.magnitude[0]


def _arithmetic(program: Program, runtime: str, levels: int | None) -> Arithmetic:
    layers = integer_layers(program)
    is_known = runtime in RUNTIMES and RUNTIMES[runtime].arithmetic in _EXACT
    more = levels if levels is not None else int(not is_known)
    return Arithmetic(layers.operators if is_known else (), layers.biases, layers.scales, more)


def _ends(plan: Plan, box: Box, labels: Tensor, arithmetic: Arithmetic) -> tuple[Leads, Bounds]:
    head = Head(plan)
    found = walk(plan, box, arithmetic, head.wanted)
    return head.leads(found, labels, arithmetic), head.logits(found)


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(_is_same(*pair) for pair in zip(one, other, strict=True))
    return bool(one == other)
