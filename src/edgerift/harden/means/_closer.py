"""Training that keeps the build close to its original, and with the head in float."""

from __future__ import annotations

from edgerift.adapt import Consistency, EvasionTraining
from edgerift.harden._means import Means, means

means(Means(name="consistency", title="Consistency", training=Consistency()), rank=3)
means(
    Means(name="consistency-float", title="Consistency, head in float", training=Consistency(), float_logits=True),
    rank=3.5,
)
means(Means(name="evasion", title="Evasion training", training=EvasionTraining()), rank=4)
means(
    Means(name="evasion-float", title="Evasion training, head in float", training=EvasionTraining(), float_logits=True),
    rank=4.5,
)
