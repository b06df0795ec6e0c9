"""What is attacked: an original and its deployed build, and the models whose gradients the search follows."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol, TypeAlias, final

import torch
from torch import Tensor, nn

from edgerift.deploy import RUNTIMES, Build, Program, Reduced, folded, module_logits, own_twin, reduced, twin
from edgerift.errors import InputError, ModelError
from edgerift.evade._aim import Aim, is_fooled
from edgerift.evade._queried import QueriedModule
from edgerift.images import ImageShape
from edgerift.measure import Logits, LogitsModule, margin
from edgerift.specification import Guard
from edgerift.zoo import frozen_copy, taking

Precision: TypeAlias = Literal["float32", "bfloat16"]


@final
@dataclass(frozen=True)
class Steering:
    """The modules that a search takes its gradients from: images float32 `[N,C,H,W]` in `[0,1]` to logits `[N,K]`.

    They are what the attacker knows. White box: a copy of the original and each build's twin. An attacker who lacks a
    model uses a surrogate instead; the true models still judge. A module that is in training mode, has parameters that
    take gradients or weights that are not float32 is copied to float32, in evaluation mode and frozen. For one that
    answers probabilities their logarithms are used: :meth:`on_logits`.
    """

    original: nn.Module
    adapted: tuple[nn.Module, ...]

    def __post_init__(self) -> None:
        """Check that there is an adapted module; raises `InputError`."""
        if not self.adapted:
            raise InputError("steering needs at least one adapted module; give a build's twin or a surrogate of it")
        object.__setattr__(self, "original", _settled(self.original))
        object.__setattr__(self, "adapted", tuple(_settled(module) for module in self.adapted))

    def to(self, device: torch.device | str) -> Steering:
        """Copy every module to a device; the originals stay where they are."""
        first, *others = (copy.deepcopy(module).to(device) for module in (self.original, *self.adapted))
        return Steering(first, tuple(others))

    def reduced(self, *, exact: bool = False) -> Steering:
        """Copy the modules that gain by it to fewer bits, and cheaper gradients; see :func:`edgerift.deploy.reduced`.

        With `exact` float models answer as before.
        """
        if exact not in self._copies:
            first, *others = (reduced(module, exact=exact) or module for module in (self.original, *self.adapted))
            self._copies[exact] = Steering(first, tuple(others))
        return self._copies[exact]

    @cached_property
    def _copies(self) -> dict[bool, Steering]:
        return {}

    @property
    def precision(self) -> Precision:
        """The precision of the gradients: bfloat16 where any module is a reduced copy."""
        parts = (part for module in (self.original, *self.adapted) for part in module.modules())
        return "bfloat16" if any(isinstance(part, Reduced) for part in parts) else "float32"

    def taking(self, shape: ImageShape) -> Steering:
        """Let modules that take three channels, and say so by an error alone, take grey images of this shape."""
        return Steering(taking(self.original, shape), tuple(taking(module, shape) for module in self.adapted))

    def on_logits(self) -> Steering:
        """Wrap every module to answer float32 logits, and refuse one without a gradient."""
        return Steering(
            LogitsModule(self.original, "the original of the steering"),
            tuple(LogitsModule(module, "the adapted model of the steering") for module in self.adapted),
        )


class Victim(Protocol):
    """What a search needs of a :class:`Pair` or a :class:`Fleet`: the judges, and the white-box gradients."""

    @property
    def original(self) -> nn.Module:
        """The float model."""

    @property
    def folded_original(self) -> nn.Module:
        """The float model in a cheaper form."""

    def original_scores(self, images: Tensor) -> Tensor:
        """Answer uint8 images `[N,C,H,W]` with the original's logits `[N,K]`."""

    def build_scores(self, images: Tensor, labels: Tensor) -> Tensor:
        """Answer uint8 images `[N,C,H,W]` with the logits `[N,K]` of the build that has to be fooled."""

    def white_box(self) -> Steering:
        """Make the modules whose gradients a white-box attacker has."""


@final
@dataclass(frozen=True)
class Pair:
    """An original, its program and its deployed build.

    The original is copied to float32 and put into evaluation mode. `program` may be None: gradients then come from the
    build's own file, where that has a twin, or from surrogates. For an original or a build that answers probabilities
    their logarithms are used, with a :class:`~edgerift.errors.ProbabilitiesWarning`.

    With a `guard` the build abstains, and an image evades only if the build answers it, wrongly; by default it is the
    one that ships with the build. One with the threshold 0 answers every image, and is None here.
    """

    original: nn.Module
    program: Program | None
    build: Build
    guard: Guard | None = None

    def __post_init__(self) -> None:
        """Copy the original, so that later changes to the caller's do not affect a verdict."""
        object.__setattr__(self, "original", frozen_copy(self.original).cpu())
        guard: Guard | None = self.guard or getattr(self.build, "guard", None)
        object.__setattr__(self, "guard", guard if guard is not None and guard.threshold > 0 else None)

    def original_scores(self, images: Tensor) -> Tensor:
        """Answer uint8 images `[N,C,H,W]` with the original's logits, float32 `[N,K]` on the CPU."""
        return self._original_logits(images).cpu()

    def build_scores(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Answer uint8 images `[N,C,H,W]` with the build's logits, float32 `[N,K]` on the CPU."""
        return self._build_logits(images).detach().cpu()

    def white_box(self) -> Steering:
        """Make a folded copy of the original and the twin that follows the build's runtime.

        Raises :class:`~edgerift.errors.InputError` where there is neither a program nor a file that has a twin.
        """
        return Steering(self.folded_original, (self.twin,))

    def black_box(self, directions: int = 16) -> Steering:
        """Make a folded copy of the original and gradients that are estimated from the build's answers.

        Each costs `2 * directions` queries per image; see :class:`QueriedModule`.
        """
        return Steering(self.folded_original, (QueriedModule(self._build_logits, directions),))

    @cached_property
    def _original_logits(self) -> Logits:
        return module_logits(self.original, "the original")

    @cached_property
    def _build_logits(self) -> Logits:
        return Logits(self.build.predict, "the build")

    @cached_property
    def folded_original(self) -> nn.Module:
        """The original in a form with cheaper answers and gradients, equal up to float rounding."""
        return folded(self.original)

    @cached_property
    def twin(self) -> nn.Module:
        """The twin that follows the build's runtime."""
        if self.program is None:
            try:
                return own_twin(self.build).before_softmax
            except ModelError as error:
                raise InputError(
                    f"this pair has no program to take gradients from, and its build no twin: {error}; pass "
                    "steering=pair.black_box(), or a Steering of your own"
                ) from None
        if self.build.runtime not in RUNTIMES:
            raise InputError(f"no twin follows runtime '{self.build.runtime}'; pass steering=Steering(...)")
        return twin(self.program, RUNTIMES[self.build.runtime].arithmetic)


@final
@dataclass(frozen=True)
class Fleet:
    """One original and several builds of it, all of which an adversarial example has to fool.

    `members` are pairs that share the original and the guard, if any. For each image the fleet answers with its most
    robust build, the one with the largest margin for the label: when that one is wrong, all are. With a guard that is
    the build which is furthest from answering wrongly.
    """

    members: tuple[Pair, ...]

    def __post_init__(self) -> None:
        """Check that there are builds; raises `InputError`."""
        if not self.members:
            raise InputError("a fleet without builds; at least 1 pair is needed")
        if any(member.guard != self.guard for member in self.members):
            raise InputError("the members of a fleet have different guards; give all the same one with guard=")

    @property
    def guard(self) -> Guard | None:
        """The guard of every build."""
        return self.members[0].guard

    @property
    def original(self) -> nn.Module:
        """The float model, that of the first member."""
        return self.members[0].original

    def original_scores(self, images: Tensor) -> Tensor:
        """Answer uint8 images `[N,C,H,W]` with the original's logits, float32 `[N,K]`."""
        return self.members[0].original_scores(images)

    def build_scores(self, images: Tensor, labels: Tensor) -> Tensor:
        """Answer each uint8 image `[N,C,H,W]` with logits `[N,K]` of the build most confident of its label `[N]`."""
        answers = torch.stack([member.build_scores(images) for member in self.members])
        aim = Aim(0.0 if self.guard is None else self.guard.threshold)
        margins = torch.stack([margin(aim(scores, labels), labels) for scores in answers])
        # At a margin of exactly zero a build may be fooled or not; one that is not ranks above one that is.
        fooled = torch.stack([is_fooled(scores, labels, self.guard) for scores in answers])
        holding = torch.where(fooled, margins - torch.finfo(torch.float32).tiny, margins)
        return answers[holding.argmax(0), torch.arange(len(labels))]

    def white_box(self) -> Steering:
        """Make a folded copy of the original and the twin of every build."""
        return Steering(self.folded_original, tuple(member.twin for member in self.members))

    def black_box(self, directions: int = 16) -> Steering:
        """Make a folded copy of the original and gradients that are estimated from every build's answers."""
        estimated = [member.black_box(directions).adapted[0] for member in self.members]
        return Steering(self.folded_original, tuple(estimated))

    @property
    def folded_original(self) -> nn.Module:
        """The original in its cheaper form, that of the first member."""
        return self.members[0].folded_original


def _settled(module: nn.Module) -> nn.Module:
    at_work = any(part.training for part in module.modules())
    tensors = list(module.parameters())
    if at_work or any(tensor.requires_grad or _is_other_float(tensor) for tensor in tensors):
        return frozen_copy(module)
    return module


def _is_other_float(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.dtype != torch.float32
