"""The twin of a build that no program of edgerift's stands beside: made from the artefact itself."""

from __future__ import annotations

from typing import Any, final

from torch import Tensor, nn

from edgerift.deploy.builds._opened import OpenedBuild
from edgerift.deploy.builds._runtime import RUNTIMES, Build
from edgerift.deploy.twins._translated_module import TranslatedModule
from edgerift.errors import ModelError
from edgerift.specification import SpecifiedModule


@final
class OwnTwin(nn.Module):
    """An artefact that has gradients: images float32 `[N,C,H,W]` in `[0,1]` to logits float32 `[N,K]`.

    `step` is the distance of two neighbouring scores where they lie on a grid. `before_softmax` is the twin up to the
    softmax at its end, or this one where there is none: rounded probabilities have hardly a gradient.
    """

    def __init__(self, module: TranslatedModule, specified: SpecifiedModule, arithmetic: str) -> None:
        """Stand before a translated artefact; see :func:`own_twin`."""
        super().__init__()
        self.arithmetic, self.step = arithmetic, module.step
        self.specified = specified
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        """Compute the logits `[N,K]` of images `[N,C,H,W]` in `[0,1]`."""
        logits: Tensor = self.specified(images)
        return logits

    @property
    def before_softmax(self) -> OwnTwin:
        """The twin up to the softmax at its end."""
        module: Any = self.specified.module
        scores = module.scores
        if scores is module:
            return self
        specification = self.specified.specification
        output = specification.output.replace(kind="logits", quantization=None)
        inner = SpecifiedModule(scores, specification.replace(output=output), "the build")
        return OwnTwin(scores, inner, self.arithmetic)


def why_no_twin(build: Build) -> str:
    """Say why a build's file gives no twin; nothing where it does."""
    try:
        own_twin(build)
    except ModelError as error:
        return str(error)
    return ""


def own_twin(build: Build) -> OwnTwin:
    """Make the differentiable twin of a build from its artefact alone.

    Raises :class:`~edgerift.errors.ModelError` where the build has none: its runtime's files cannot be translated, or
    this one holds an operator that has no translation.
    """
    if not isinstance(build, OpenedBuild):
        raise ModelError(f"a twin of a {build.runtime} build needs the program that it was compiled from")
    module, specification = build.translated, build.specification
    # The engine's batch is fixed by the file; the module takes any.
    free = specification.replace(input=specification.input.replace(batch=None))
    return OwnTwin(module, SpecifiedModule(module, free, "the build"), RUNTIMES[build.runtime].arithmetic)
