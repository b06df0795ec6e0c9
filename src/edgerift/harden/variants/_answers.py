"""The plain quantization-aware build, and DivQAT's, behind a defence of the answers."""

from __future__ import annotations

from edgerift.harden._variant import Look, variant
from edgerift.harden.variants._divqat import DIVQAT
from edgerift.harden.variants._undefended import QAT

variant(QAT.behind("reverse-sigmoid", "rs", Look("#e08e00", "^"), in_paper=True), rank=4)
variant(QAT.behind("deception", "dcp", Look("#c2410c", "D"), in_paper=True), rank=5)
variant(DIVQAT.behind("reverse-sigmoid", "divqat+rs", Look("#3fa7e0", "^"), in_paper=True), rank=7)
variant(DIVQAT.behind("deception", "divqat+dcp", Look("#1e2f97", "D"), in_paper=True), rank=8)
variant(QAT.behind("gaussian-noise", "noise", Look("#8b5e34", "h")), rank=14)
