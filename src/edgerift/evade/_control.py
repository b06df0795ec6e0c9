"""A float model in the place of a build: the control that separates fine-tuning from quantization."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from torch import Tensor, nn

from edgerift.deploy import Fingerprint, folded, twin_scores
from edgerift.evade._pair import Pair, Steering
from edgerift.specification import Guard
from edgerift.zoo import frozen_copy


@final
@dataclass(frozen=True)
class FloatBuild:
    """A float model with the interface of a build; nothing of it is quantized."""

    model: nn.Module
    runtime: str = "float"
    path: Path = Path()

    def predict(self, images: Tensor) -> Tensor:
        """Answer uint8 images `[N,C,H,W]` with float32 logits `[N,K]`."""
        return twin_scores(self.model, images)

    def fingerprint(self) -> Fingerprint:
        """Return the digest of a build without an artefact."""
        return Fingerprint(runtime=self.runtime, version="", sha256="", processor="", instructions="")

    def integer_macs(self) -> float:
        """The share of multiply-accumulates in integer kernels: none."""
        return 0.0


def float_pair(original: nn.Module, other: nn.Module, guard: Guard | None = None) -> tuple[Pair, Steering]:
    """Put another float model in the build's place, and make the modules whose gradients an attack on it uses."""
    other = frozen_copy(other)
    pair = Pair(original, None, FloatBuild(other), guard)
    return pair, Steering(folded(frozen_copy(original)), (folded(other),))
