"""The audit for tools that collect findings: SARIF 2.1.0, https://docs.oasis-open.org/sarif/sarif/v2.1.0/."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from pydantic import JsonValue

from edgerift.audit import Audit, EvasionPart, FindingPart, FlagPart, GatePart, TheftPart
from edgerift.report._rows import by_level
from edgerift.report._words import as_json, class_name, levels, outcomes, percent, plain, sentence, theft_outcome

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_EVASIVE: Final = "evasive-image"
_STOLEN: Final = "stolen-build"
_GATE: Final = "gate-failure"
# SARIF's levels; a check that found nothing has none.
_LEVELS: Final = {"error": "error", "warning": "warning", "note": "note", "ok": "none"}

_Object = dict[str, JsonValue]


def audit_sarif(audit: Audit) -> str:
    """Write an audit as a SARIF 2.1.0 log: a result for each finding, the best theft, failed rule and raised check.

    Locations are the attacked images' files, relative to the audit's folder. The run was successful whatever the
    verdict is: that stands in its exit code and its properties.
    """
    rules = _rules(audit)
    numbers = {str(rule["id"]): number for number, rule in enumerate(rules)}
    results = [] if audit.evasion is None else [_finding(audit, finding) for finding in audit.evasion.findings]
    results += [] if audit.theft is None else [_theft(audit.theft)]
    results += [_failure(rule) for rule in audit.gate if not rule.holds]
    results += [_flag(flag) for flag in by_level(audit.flags) if flag.level != "ok"]
    failed = audit.verdict == "fail"
    run: _Object = {
        "tool": {"driver": {"name": "edgerift", "version": audit.edgerift, "rules": [*rules]}},
        "invocations": [
            {
                "executionSuccessful": True,
                "exitCode": int(failed),
                "exitCodeDescription": "the gate fails" if failed else "the gate holds",
            }
        ],
        "results": [result | {"ruleIndex": numbers[str(result["ruleId"])]} for result in results],
        "properties": _run_properties(audit),
    }
    return as_json({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}) + "\n"


def _rules(audit: Audit) -> list[_Object]:
    rules = [
        _rule(
            _EVASIVE,
            "Original and build part on this image",
            "The original gives this image the right label and the build a wrong one, replayed from the PNG file.",
            "Harden the build, or adapt it by another method, and audit again.",
            "warning",
        ),
        _rule(
            _STOLEN,
            "A clone of the build was stolen through its answers",
            "A thief who sees nothing but the build's answers trained a clone; the gate says how faithful it may be.",
            "Train a build that answers thieves falsely, put a defence before it, or limit what one user may ask.",
            "warning",
        ),
        _rule(
            _GATE,
            "A rule of the gate does not hold",
            "What was measured lies outside what the policy allows.",
            "Look at the measured value in the report, harden the build, and audit again.",
            "error",
        ),
    ]
    known = {_EVASIVE, _STOLEN, _GATE}
    for flag in by_level(audit.flags):
        if flag.name not in known:
            known.add(flag.name)
            short, full, todo = f"Check of the evaluation: {flag.name}", sentence(flag.meaning), sentence(flag.action)
            rules.append(_rule(flag.name, short, full, todo, flag.level))
    return rules


def _rule(name: str, short: str, full: str, todo: str, level: str) -> _Object:
    return {
        "id": plain(name),
        "shortDescription": {"text": _text(short)},
        "fullDescription": {"text": _text(full or short)},
        "help": {"text": _text(todo or "Nothing has to be done.")},
        "defaultConfiguration": {"level": _LEVELS.get(level, level)},
    }


def _finding(audit: Audit, finding: FindingPart) -> _Object:
    classes = audit.data.classes
    original, build = class_name(classes, finding.original_label), class_name(classes, finding.build_label)
    message = (
        f"Image {finding.index} of class '{class_name(classes, finding.label)}': the original answers '{original}' "
        f"({percent(finding.original_probability)}), the build '{build}' ({percent(finding.build_probability)}), after "
        f"a change of at most {levels(finding.linf)} by attack '{finding.attack}'. "
        f"Replay it: edgerift replay findings/{finding.id}.json"
    )
    return {
        "ruleId": _EVASIVE,
        "level": "warning",
        "message": {"text": _text(message)},
        "locations": [_location(finding.attacked_png)],
        "relatedLocations": [
            _location(finding.clean_png) | {"id": 1, "message": {"text": "The image before the attack."}}
        ],
        "partialFingerprints": {"attackedPixels/sha256": finding.sha256},
        "properties": finding.model_dump(mode="json", exclude={"sha256", "clean_png", "attacked_png"}),
    }


def _theft(part: TheftPart) -> _Object:
    best = part.best
    message = f"{theft_outcome(part)} Thief '{part.strongest}' trained a {best.attack.student} on the answers."
    return {
        "ruleId": _STOLEN,
        "level": "warning",
        "message": {"text": _text(message)},
        "properties": {"thief": part.strongest, **best.model_dump(mode="json", exclude={"type", "version"})},
    }


def _location(path: str) -> _Object:
    return {"physicalLocation": {"artifactLocation": {"uri": quote(path)}}}


def _failure(rule: GatePart) -> _Object:
    return {
        "ruleId": _GATE,
        "level": "error",
        "message": {"text": _text(f"The gate fails: {rule.text}; measured {rule.measured}, limit {rule.limit}.")},
        "properties": rule.model_dump(mode="json"),
    }


def _flag(flag: FlagPart) -> _Object:
    message = " ".join(filter(None, map(sentence, (flag.seen, flag.meaning, flag.action))))
    return {"ruleId": plain(flag.name), "level": _LEVELS[flag.level], "message": {"text": _text(message)}}


def _run_properties(audit: Audit) -> _Object:
    return {
        "verdict": audit.verdict,
        "outcome": " ".join(map(str, outcomes(audit))),
        **({} if audit.evasion is None else _evasion_properties(audit.evasion)),
        **({} if audit.theft is None else _theft_properties(audit.theft)),
        "gate": [rule.model_dump(mode="json") for rule in audit.gate],
        "runtime": audit.pair.fingerprint.model_dump(mode="json"),
        "original_sha256": audit.pair.original_sha256,
        "program_sha256": audit.pair.program_sha256,
    }


def _evasion_properties(evasion: EvasionPart) -> _Object:
    main = evasion.main
    return {"attack": main.attack.model_dump(mode="json"), "evasive": main.evasive.model_dump(mode="json")}


def _theft_properties(theft: TheftPart) -> _Object:
    return {"thief": theft.strongest, "disagreement": theft.best.disagreement.model_dump(mode="json")}


def _text(text: str) -> str:
    """Write a message so that no part of it reads as a placeholder or as a link."""
    return plain(text).replace("{", "{{").replace("}", "}}").replace("[", "\\[").replace("]", "\\]")
