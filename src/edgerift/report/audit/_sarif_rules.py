"""The rules of a SARIF log: what each kind of result means, what to do about it, and how severe it is."""

from __future__ import annotations

from typing import Final

from pydantic import JsonValue

from edgerift.audit import CATALOGUES, Audit, FlagPart
from edgerift.report.audit._rows import by_level
from edgerift.report.shared._words import plain, sentence

Object = dict[str, JsonValue]

EVASIVE: Final = "evasive-image"
APART: Final = "kernels-disagree"
STOLEN: Final = "stolen-build"
TAMPERED: Final = "tampered-build"
GATE: Final = "gate-failure"

#: SARIF's levels; a check that found nothing has none.
LEVELS: Final = {"error": "error", "warning": "warning", "note": "note", "ok": "none"}

#: What code scanning calls the levels of rules that are not about security.
_PROBLEMS: Final = {"error": "error", "warning": "warning", "note": "recommendation", "ok": "recommendation"}

#: The threat that a rule of security is about.
_THREATS: Final = {EVASIVE: "evasion", APART: "evasion", STOLEN: "theft", TAMPERED: "tampering"}

#: Code scanning's scale: below 4.0 low, below 7.0 medium, below 9.0 high.
_SEVERITIES: Final = {EVASIVE: "6.5", APART: "5.0", STOLEN: "5.0", TAMPERED: "9.0", GATE: "8.0"}


def rules(audit: Audit) -> list[Object]:
    """List the rules of security, and one for each check of the evaluation."""
    has_fleet = audit.evasion is not None and audit.evasion.fleet is not None
    more = ([_APART] if has_fleet else []) + ([] if audit.tampering is None else [_TAMPERED])
    found = {str(rule["id"]): rule for rule in (*_SECURITY, *more)}
    for flag in by_level(audit.flags):
        found.setdefault(plain(flag.name), _check(flag))
    return list(found.values())


def sarif_text(text: str) -> str:
    """Write a message so that no part of it reads as a placeholder or as a link."""
    return plain(text).replace("{", "{{").replace("}", "}}").replace("[", "\\[").replace("]", "\\]")


def _rule(name: str, short: str, full: str, todo: str, level: str) -> Object:
    severity = _SEVERITIES.get(name)
    properties: Object = {"precision": "very-high"}
    if severity is None:
        properties |= {"problem.severity": _PROBLEMS[level], "tags": ["evaluation"]}
    else:
        properties |= {"security-severity": severity, "tags": ["security"]}
    if name in _THREATS:
        properties |= {"maps_to": list(CATALOGUES[_THREATS[name]])}
    return {
        "id": plain(name),
        "shortDescription": {"text": sarif_text(short)},
        "fullDescription": {"text": sarif_text(full)},
        "help": {"text": sarif_text(f"{full} {todo}")},
        "defaultConfiguration": {"level": LEVELS[level]},
        "properties": properties,
    }


def _check(flag: FlagPart) -> Object:
    short = f"Check of the evaluation: {flag.name}."
    full, todo = sentence(flag.meaning) or short, sentence(flag.action) or "No action is needed."
    return _rule(flag.name, short, full, todo, flag.level)


_SECURITY: Final = (
    _rule(
        EVASIVE,
        "Original and build disagree on this image.",
        "The original classifies this image correctly and the build does not, as replayed from the PNG file.",
        "Harden the build, or adapt it by another method, and audit again.",
        "warning",
    ),
    _rule(
        STOLEN,
        "A clone of the build was trained on its answers.",
        "An attacker with black-box access to the build trained a clone; the gate limits its fidelity.",
        "Train a build whose answers mislead an attacker, add a defence of the answers, or limit the queries per user.",
        "warning",
    ),
    _rule(
        GATE,
        "A rule of the gate does not hold.",
        "What was measured lies outside what the policy allows.",
        "Check the measured value in the report, harden the build, and audit again.",
        "error",
    ),
)

_APART: Final = _rule(
    APART,
    "Two sets of kernels disagree on this image, from one file.",
    "One set of the runtime's kernels classifies this image correctly and another one does not, as replayed from the "
    "PNG file: devices that run the same file answer differently.",
    "Audit the build with the kernels of every device that it ships to, and fix them where that is possible.",
    "warning",
)

_TAMPERED: Final = _rule(
    TAMPERED,
    "A check of the build against its original does not hold.",
    "The build is not what quantizing the original honestly gives, or it cannot be told whether it is.",
    "Quantize the original again, or repair the build with `edgerift verify --repair`, and audit the result.",
    "error",
)
