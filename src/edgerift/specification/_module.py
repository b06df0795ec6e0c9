"""A model of any specification as one that takes images in `[0,1]` and answers logits."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from edgerift.specification._prepare import Prepare
from edgerift.specification._specification import Specification


@final
class SpecifiedModule(nn.Module):
    """Float32 images `[N,C,H,W]` in `[0,1]` to logits float32 `[N,K]`, by a module of another specification.

    The module is fed float32 numbers whatever its number type, so that gradients pass; see
    `InputSpecification.prepare`. Without a `kind` its answers are taken for logits. A fixed batch is filled up with
    blank images. Raises `ModelError` for an answer that is not one row of scores for each image.
    """

    def __init__(self, module: nn.Module, specification: Specification, whose: str = "the model") -> None:
        """Stand before `module`, which messages name as `whose`."""
        super().__init__()
        self.module = module
        self.training = module.training
        self.specification = specification
        self.prepare = Prepare(specification.input)
        self._whose = whose

    def forward(self, images: Tensor) -> Tensor:
        """Answer float32 images `[N,C,H,W]` in `[0,1]` with logits `[N,K]`."""
        return self.specification.output.meant(self.scores(images))

    def scores(self, images: Tensor) -> Tensor:
        """Answer images with scores `[N,K]` whose meaning is still open; see `OutputSpecification.scores`."""
        prepared = self.prepare(images)
        batch = self.specification.input.batch
        if batch is None:
            return self._scored(prepared)
        return torch.cat([self._scored(_filled(part, batch))[: len(part)] for part in prepared.split(batch)])

    def _scored(self, prepared: Tensor) -> Tensor:
        return self.specification.output.scores(self.module(prepared), self._whose)


def _filled(part: Tensor, batch: int) -> Tensor:
    missing = batch - len(part)
    return part if not missing else torch.cat([part, part.new_zeros(missing, *part.shape[1:])])
