"""The audit for tools that collect findings: SARIF 2.1.0, https://docs.oasis-open.org/sarif/sarif/v2.1.0/."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final, NamedTuple
from urllib.parse import quote

from edgerift.audit import Audit, EvasionPart, FindingPart, TheftPart
from edgerift.report.audit._places import Region, region
from edgerift.report.audit._rows import LEVELS as GRAVEST_FIRST
from edgerift.report.audit._rows import every_finding
from edgerift.report.audit._sarif_rules import (
    APART,
    EVASIVE,
    GATE,
    LEVELS,
    STOLEN,
    TAMPERED,
    Object,
    rules,
    sarif_text,
)
from edgerift.report.shared._words import (
    as_json,
    class_name,
    gate_numbers,
    levels,
    outcomes,
    percent,
    plain,
    replay_command,
    sentence,
    theft_outcome,
)
from edgerift.verify import Verification

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT: Final = "SRCROOT"

#: GitHub refuses a run with more results, https://docs.github.com/en/code-security/reference/code-scanning/sarif-files.
MOST_RESULTS: Final = 25_000

#: A file's first character: where there is no better place in it.
_FIRST: Final = Region(1, 1, 1, 2)


class _Folder(NamedTuple):
    """The audit's folder: its path from the repository's root, and the lines of its `audit.json`."""

    path: PurePosixPath
    lines: Sequence[str]

    def place(self, name: str, where: Region = _FIRST) -> Object:
        """Point to a part of a file of the folder."""
        return {"physicalLocation": {"artifactLocation": self._file(name), "region": _region(where)}}

    def part(self, *path: str | int) -> Object:
        """Point to a value in `audit.json`."""
        return self.place("audit.json", region(self.lines, *path))

    def _file(self, name: str) -> Object:
        return {"uri": quote(str(self.path / name)), "uriBaseId": _ROOT}


def audit_sarif(audit: Audit) -> str:
    """Write an audit as a SARIF 2.1.0 log: a result for each failed rule, extraction, finding and raised check.

    Each result has a place in a file of the audit's folder, relative to the root of the repository, and a fingerprint
    that another run of the same audit repeats. The log holds at most 25,000 results, of the findings those with
    the highest confidence of the build. The run counts as successful whatever the verdict, which is in its exit code
    and its properties.
    """
    known = rules(audit)
    numbers = {str(rule["id"]): number for number, rule in enumerate(known)}
    results, left_out = _results(audit)
    failed = audit.verdict == "fail"
    name = "/".join((audit.data.name, audit.pair.target or "file", audit.pair.runtime))
    run: Object = {
        "tool": {"driver": {"name": "edgerift", "version": audit.edgerift, "rules": [*known]}},
        "automationDetails": {"id": f"edgerift audit/{plain(name)}/"},
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the repository."}}},
        "invocations": [
            {
                "executionSuccessful": True,
                "exitCode": int(failed),
                "exitCodeDescription": "the gate fails" if failed else "the gate holds",
            }
        ],
        "results": [result | {"ruleIndex": numbers[str(result["ruleId"])]} for result in results],
        "properties": _run_properties(audit) | ({"findings_left_out": left_out} if left_out else {}),
    }
    return as_json({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}) + "\n"


def _results(audit: Audit) -> tuple[list[Object], int]:
    """List the results, and count the findings left out."""
    path = PurePosixPath("" if audit.made is None else audit.made.folder)
    folder = _Folder(path, audit.model_dump_json(indent=2).splitlines())
    leading = _failures(audit, folder)
    leading += [] if audit.theft is None else [_theft(audit.theft, folder)]
    leading += [] if audit.tampering is None else _tampering(audit.tampering, folder)
    checks = _checks(audit, folder)
    findings = [] if audit.evasion is None else every_finding(audit.evasion)
    room = MOST_RESULTS - len(leading) - len(checks)
    found = [_finding(audit, finding, folder) for finding in findings[:room]]
    return [*leading, *found, *checks], max(0, len(findings) - room)


def _finding(audit: Audit, finding: FindingPart, folder: _Folder) -> Object:
    classes = audit.data.classes
    first, second = class_name(classes, finding.original_label), class_name(classes, finding.build_label)
    original, build, rule, found_by = _judges(audit, finding)
    message = (
        f"Image {finding.index} of class '{class_name(classes, finding.label)}': {original} predicts '{first}' "
        f"({percent(finding.original_probability)}), {build} '{second}' ({percent(finding.build_probability)}), after "
        f"a change of at most {levels(finding.linf)} {found_by}. "
        f"Replay it in the audit's folder: {replay_command(audit, finding)}"
    )
    described = f"{PurePosixPath(finding.attacked_png).parent}/{finding.id}.json"
    pictures = {"The attacked image.": finding.attacked_png, "The image before the attack.": finding.clean_png}
    return _result(rule, "warning", message, folder.place(described), audit.data.fingerprint, finding.id) | {
        "relatedLocations": [
            folder.place(name) | {"id": number, "message": {"text": text}}
            for number, (text, name) in enumerate(pictures.items(), 1)
        ],
        "properties": finding.model_dump(mode="json", exclude={"clean_png", "attacked_png"}),
    }


def _judges(audit: Audit, finding: FindingPart) -> tuple[str, str, str, str]:
    """Name who is right on a finding and who is wrong, its rule, and what found it."""
    fleet = None if audit.evasion is None else audit.evasion.fleet
    pair = None if fleet is None else fleet.pair_of(finding)
    if pair is None:
        return "the original", "the build", EVASIVE, f"by attack '{finding.attack}'"
    return f"the build on {pair.right}", f"on {pair.wrong}", APART, "in any pixel"


def _theft(part: TheftPart, folder: _Folder) -> Object:
    best = part.best
    message = f"{theft_outcome(part)} Attacker '{part.strongest}' trained a {best.attack.student} on the answers."
    return _result(STOLEN, "note" if part.has_collapsed else "warning", message, folder.part("theft")) | {
        "properties": {"thief": part.strongest, **best.model_dump(mode="json", exclude={"type", "version"})}
    }


def _tampering(found: Verification, folder: _Folder) -> list[Object]:
    """List the checks by which the build deviates, and where nothing is certain those that cannot tell."""
    levels_of = {"deviates": "error"} | ({"unknown": "note"} if found.verdict == "unknown" else {})
    results = []
    for number, check in enumerate(found.checks):
        if check.verdict in levels_of:
            message = f"Check '{check.name}': {sentence(check.text)}"
            place = folder.part("tampering", "checks", number)
            result = _result(TAMPERED, levels_of[check.verdict], message, place, check.name, check.file)
            results.append(result | {"properties": check.model_dump(mode="json", exclude={"layers"})})
    return results


def _failures(audit: Audit, folder: _Folder) -> list[Object]:
    found = []
    for number, rule in enumerate(audit.gate):
        if not rule.holds:
            measured, limit = gate_numbers(rule)
            message = f"The gate fails: {rule.text}; measured {measured}, limit {limit}."
            result = _result(GATE, "error", message, folder.part("gate", number), rule.rule)
            found.append(result | {"properties": rule.model_dump(mode="json")})
    return found


def _checks(audit: Audit, folder: _Folder) -> list[Object]:
    """List the checks that were raised, the most severe first."""
    parts = ((name, getattr(audit, name)) for name in type(audit).model_fields)
    raised = [
        (flag, (name, "flags", number))
        for name, part in parts
        for number, flag in enumerate(getattr(part, "flags", ()))
        if flag.level != "ok"
    ]
    found = []
    for flag, path in sorted(raised, key=lambda one: GRAVEST_FIRST.index(one[0].level)):
        message = " ".join(filter(None, map(sentence, (flag.seen, flag.meaning, flag.action))))
        found.append(_result(plain(flag.name), LEVELS[flag.level], message, folder.part(*path)))
    return found


def _result(rule: str, level: str, message: str, place: Object, *marks: str) -> Object:
    """Write a result; `marks` identify it among those of its rule, in this run and in every other."""
    digest = hashlib.sha256("\n".join((rule, *marks)).encode()).hexdigest()
    return {
        "ruleId": rule,
        "level": level,
        "message": {"text": sarif_text(message)},
        "locations": [place],
        # The only name of a fingerprint that GitHub looks at; its number counts results of the same hash.
        "partialFingerprints": {"primaryLocationLineHash": f"{digest[:32]}:1"},
    }


def _region(where: Region) -> Object:
    return {
        "startLine": where.start_line,
        "startColumn": where.start_column,
        "endLine": where.end_line,
        "endColumn": where.end_column,
    }


def _run_properties(audit: Audit) -> Object:
    return {
        "verdict": audit.verdict,
        "outcome": " ".join(map(str, outcomes(audit))),
        **({} if audit.evasion is None else _evasion_properties(audit.evasion)),
        **({} if audit.theft is None else _theft_properties(audit.theft)),
        **({} if audit.tampering is None else {"verification": audit.tampering.verdict}),
        "gate": [rule.model_dump(mode="json") for rule in audit.gate],
        "model": audit.pair.model,
        "runtime": audit.pair.fingerprint.model_dump(mode="json"),
        "original_sha256": audit.pair.original_sha256,
        "program_sha256": audit.pair.program_sha256,
    }


def _evasion_properties(evasion: EvasionPart) -> Object:
    main = evasion.main
    return {"attack": main.attack.model_dump(mode="json"), "evasive": main.evasive.model_dump(mode="json")}


def _theft_properties(theft: TheftPart) -> Object:
    return {"thief": theft.strongest, "disagreement": theft.best.disagreement.model_dump(mode="json")}
