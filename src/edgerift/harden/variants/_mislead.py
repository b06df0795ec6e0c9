"""A build that is trained towards misleading answers."""

from __future__ import annotations

from edgerift.adapt import MisleadingTargets
from edgerift.harden._variant import Look, Variant, variant

variant(
    Variant(
        name="mislead",
        title="Misleading targets (ours)",
        look=Look("#d6246e", "*"),
        training=MisleadingTargets(),
        # A distance, bounded by itself.
        highest=1.2,
    ),
    rank=10,
)
