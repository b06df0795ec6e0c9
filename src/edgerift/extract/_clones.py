"""The clones of a data-free attack: one, or several that vote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from edgerift import zoo
from edgerift.images import Size


@final
class Vote(nn.Module):
    """An ensemble of clones: the logarithm of the mean of their posteriors; a single one answers its own logits."""

    def __init__(self, clones: Sequence[nn.Module]) -> None:
        """Take clones from images `[N,C,H,W]` in [0, 1] to logits `[N,K]`."""
        super().__init__()
        self.clones = nn.ModuleList(clones)

    def forward(self, images: Tensor) -> Tensor:
        """Answer images `[N,C,H,W]` in [0, 1] with logits `[N,K]`."""
        answers = [clone(images) for clone in self.clones]
        if len(answers) == 1:
            only: Tensor = answers[0]
            return only
        voted = torch.stack(answers).float().log_softmax(2).logsumexp(0)
        return voted - voted.mean(1, keepdim=True)


def make_clones(student: str, count: int, classes: int, size: Size, seed: int) -> list[zoo.Classifier]:
    """Make `count` networks of the zoo, each from a seed of its own."""
    architecture = zoo.Architecture(name=student, classes=classes, size=size)
    return [zoo.from_architecture(architecture, seed=seed + 1000 * number) for number in range(count)]


def disagreement(logits: Tensor) -> Tensor:
    """Compute how far clones disagree (DisGUIDE): `[clones,N,K]` to `[N]`, the mean over classes of the deviation.

    It is the standard deviation of the clones' posteriors as of a sample, as in the authors' code: for two clones their
    distance divided by the root of two.
    """
    posteriors = logits.float().softmax(2)
    return posteriors.var(0).clamp_min(1e-12).sqrt().mean(1)


def class_imbalance(logits: Tensor) -> Tensor:
    """Compute the negative entropy, in nats, of the mean posterior over `[clones,N,K]`: a scalar, least for balance."""
    mean = logits.float().softmax(2).mean((0, 1))
    return (mean * mean.clamp_min(1e-12).log()).sum()
