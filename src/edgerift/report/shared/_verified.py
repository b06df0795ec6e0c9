"""A verification in words."""

from __future__ import annotations

from edgerift.verify import Verification


def verified_words(found: Verification) -> tuple[str, str, str]:
    """Word how many checks deviate, of what, and what follows."""
    wrong = [check.name for check in found.checks if check.verdict == "deviates"]
    unknown = ", ".join(check.name for check in found.checks if check.verdict == "unknown") or "no check decides"
    counts = f"{len(wrong) or 'None'} of {len(found.checks)} checks"
    middle = "of the build against its original" + (" deviates:" if len(wrong) == 1 else " deviate:")
    rest = {
        "conforms": "it is an honest quantization of it.",
        "deviates": f"{', '.join(wrong)}.",
        "unknown": f"it cannot be told whether it is an honest quantization of it ({unknown}).",
    }
    return counts, middle, rest[found.verdict]
