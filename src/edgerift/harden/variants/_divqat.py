"""DivQAT as published, and ways to bound it."""

from __future__ import annotations

from typing import Final

from edgerift.adapt import Divqat
from edgerift.harden._variant import Look, Variant, variant

DIVQAT: Final = variant(
    Variant(
        name="divqat",
        title="DivQAT",
        look=Look("#0072b2", "o"),
        training=Divqat(),
        takes_alpha=True,
        in_paper=True,
    ),
    rank=6,
)

variant(
    Variant(
        name="held",
        title="DivQAT held by a hinge (Jensen-Shannon, gated)",
        look=Look("#12a594", "<"),
        training=Divqat(alpha=20.0, direction="jensen-shannon", gate=0.2, hinge=0.3),
        # The hinge is a distance, bounded by itself.
        highest=1.2,
    ),
    rank=9,
)

variant(
    Variant(
        name="nasty",
        title="Nasty Teacher's loss (temperature 4)",
        look=Look("#00855f", "P"),
        training=Divqat(temperature=4.0),
    ),
    rank=11,
)

variant(
    Variant(
        name="float",
        title="DivQAT's loss in float, then PTQ",
        look=Look("#6fbf44", "X"),
        training=Divqat(),
        stage="float",
    ),
    rank=12,
)
