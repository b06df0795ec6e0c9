"""The undefended variants: the original and its plain builds."""

from __future__ import annotations

from typing import Final

from edgerift.harden._variant import Look, Variant, variant

LARGE: Final = variant(
    Variant(
        name="large",
        title="Large (the original, float)",
        look=Look("#8a8f98", "s"),
        base="original",
        in_paper=True,
    ),
    rank=1,
)

PTQ: Final = variant(Variant(name="ptq", title="PTQ", look=Look("#5b6270", "v"), base="ptq", in_paper=True), rank=2)

QAT: Final = variant(Variant(name="qat", title="QAT", look=Look("#191b1e", "o"), in_paper=True), rank=3)
