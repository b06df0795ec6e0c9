"""What attackers reach who do not have both models, in words."""

from __future__ import annotations

from edgerift.audit import EvasionPart
from edgerift.report.shared._words import p_value, percent


def knowledge_words(evasion: EvasionPart) -> list[str]:
    """Say what attackers reach who do not have both models."""
    return [
        f"{'Without the original' if one.knows == 'build' else 'From answers alone'}, with {one.queries:,} queries "
        f"(the surrogate agrees with the build on {percent(one.agreement.value)}, with the original on "
        f"{percent(one.agreement_original.value)}): {percent(one.evasive.value)} "
        f"[{percent(one.evasive.low)}, {percent(one.evasive.high)}] evasive, judged once; with both models "
        f"{percent(evasion.main.evasive.value)}, {p_value(one.p)}."
        for one in evasion.knowledge
    ]
