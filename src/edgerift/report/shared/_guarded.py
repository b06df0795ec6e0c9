"""What the reports say of a guard, and of the members of an ensemble."""

from __future__ import annotations

from edgerift.audit import AttackPart, Audit, EvasionPart, GuardPart
from edgerift.report.shared._words import percent, rate


def guard_words(audit: Audit) -> list[str]:
    """Say in sentences what a guard costs and what it leaves to an attacker; none for a build without one."""
    guard = audit.pair.guard
    if guard is None:
        return []
    lines = [coverage_words(guard)]
    if audit.evasion is not None:
        lines.append(_attacked_words(audit.evasion))
    return lines


def suggestion_words(audit: Audit) -> list[str]:
    """Say what a guard alone would do to the build, and for what price; none without a suggestion."""
    found = audit.suggestion
    if found is None:
        return []
    silenced = "" if found.abstained is None else f", and {rate(found.abstained)} can be perturbed so that it abstains"
    return [
        f"The cheapest means, a guard alone that answers {percent(found.wanted)} of the validation images, measured on "
        f"{found.evasive.trials} images: {rate(found.evasive)} evade at epsilon {found.epsilon}{silenced}.",
        f"It would answer {rate(found.coverage)} of the test images, {rate(found.accuracy)} of these correctly.",
    ]


def coverage_words(guard: GuardPart) -> str:
    """Say what a guard does to clean images."""
    threshold = f"where its two best scores are less than {guard.guard.threshold:.4g} apart"
    answered = f"The build abstains {threshold}: it answers {rate(guard.coverage)} of the clean images"
    if guard.accuracy is None:
        return f"{answered}."
    return f"{answered}, {rate(guard.accuracy)} of these correctly."


def _attacked_words(evasion: EvasionPart) -> str:
    of_answered = evasion.main.evasive_answered
    parts = [] if of_answered is None else [f"of the attacked images that it answers, {rate(of_answered)} evade"]
    if evasion.forced_abstention is not None:
        parts.append(f"{rate(evasion.forced_abstention)} can be perturbed so that it abstains")
    text = " and ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else "It answers none of the attacked images."


def members_words(name: str, part: AttackPart) -> str:
    """List what each member of an ensemble found first; "" for another attack."""
    if part.members is None:
        return ""
    found = ", ".join(f"{member} {count}" for member, count in part.members.items())
    return f"{name} is the union of its members, each on what those before it did not evade: {found}."
