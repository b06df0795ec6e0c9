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
variant(QAT.behind("mad", "mad", Look("#a0522d", "h")), rank=15)
variant(
    QAT.behind(
        "mad", "mad-argmax", Look("#cd853f", "H"), title="QAT + MAD (keeps labels)", fields=(("keeps", "argmax"),)
    ),
    rank=16,
)
variant(QAT.behind("gradient-redirection", "grad2", Look("#6a3d9a", "d"), network="original"), rank=17)
variant(QAT.behind("adaptive-misinformation", "am", Look("#33691e", "8"), network="misleading"), rank=18)
