"""The baseline that only makes a build less confident."""

from __future__ import annotations

from edgerift.adapt import LabelSmoothing
from edgerift.harden._variant import Look, Variant, variant

variant(
    Variant(
        name="smoothing",
        title="QAT with label smoothing",
        look=Look("#7b4fa3", "p"),
        training=LabelSmoothing(),
        # A share, bounded by itself.
        highest=0.9,
    ),
    rank=13,
)
