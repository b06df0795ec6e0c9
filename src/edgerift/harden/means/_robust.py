"""Adversarial training, of the quantized model alone and of the original."""

from __future__ import annotations

from edgerift.adapt import AdversarialQat, EvasionTraining
from edgerift.harden._means import Means, means

means(Means(name="adversarial", title="Adversarial QAT", training=AdversarialQat()), rank=5)
means(
    Means(
        name="robust",
        title="Adversarial original, evasion training",
        training=EvasionTraining(),
        adversary="fast",
    ),
    rank=6,
)
