"""Training that keeps the build close to its original."""

from __future__ import annotations

from edgerift.adapt import Consistency, EvasionTraining
from edgerift.harden._means import Means, means

means(Means(name="consistency", title="Consistency", training=Consistency()), rank=3)
means(Means(name="evasion", title="Evasion training", training=EvasionTraining()), rank=4)
