"""The audit for a CI server: JUnit XML, a test case for each rule of the gate and each check of the evaluation."""

from __future__ import annotations

from xml.etree import ElementTree

from edgerift.audit import Audit, FlagPart, GatePart
from edgerift.report.audit._rows import by_level
from edgerift.report.shared._words import gate_numbers, outcomes, plain, sentence


def audit_junit(audit: Audit) -> str:
    """Write an audit as JUnit XML with one suite, `edgerift audit`.

    A rule of the gate that does not hold is a failure, and so is a check at level error; the observation of any other
    check is in its output.
    """
    cases = [_rule_case(rule) for rule in audit.gate] + [_flag_case(flag) for flag in by_level(audit.flags)]
    counts = {
        "name": "edgerift audit",
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": "0",
        "skipped": "0",
        "time": f"{sum(audit.times.values()):.3f}",
    }
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", counts | _timestamp(audit))
    suite.append(_properties(audit))
    suite.extend(cases)
    ElementTree.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(suites, encoding="unicode")}\n'


def _timestamp(audit: Audit) -> dict[str, str]:
    return {} if audit.made is None else {"timestamp": audit.made.at.isoformat(timespec="seconds")}


def _properties(audit: Audit) -> ElementTree.Element:
    properties = ElementTree.Element("properties")
    values = {
        "edgerift": audit.edgerift,
        "verdict": audit.verdict,
        "data": audit.data.name,
        "runtime": f"{audit.pair.fingerprint.runtime} {audit.pair.fingerprint.version}",
        "build_sha256": audit.pair.fingerprint.sha256,
        "outcome": " ".join(map(str, outcomes(audit))),
    }
    values |= {} if audit.pair.target is None else {"target": audit.pair.target}
    values |= {} if audit.pair.model is None else {"model": audit.pair.model}
    values |= {} if audit.made is None else {"command": audit.made.command}
    for name, value in values.items():
        ElementTree.SubElement(properties, "property", name=name, value=plain(value))
    return properties


def _rule_case(rule: GatePart) -> ElementTree.Element:
    case = _case("gate", rule.rule)
    measured, limit = gate_numbers(rule)
    text = f"{rule.text}: measured {measured}, limit {limit}"
    _tell(case, text, fails=not rule.holds, kind="gate")
    return case


def _flag_case(flag: FlagPart) -> ElementTree.Element:
    case = _case("check", flag.name)
    parts = (f"{flag.level}: {flag.seen}", sentence(flag.meaning), sentence(flag.action))
    text = "\n".join(part for part in parts if part)
    _tell(case, text, fails=flag.level == "error", kind="check")
    return case


def _case(group: str, name: str) -> ElementTree.Element:
    return ElementTree.Element("testcase", classname=f"edgerift.audit.{group}", name=plain(name), time="0")


def _tell(case: ElementTree.Element, text: str, *, fails: bool, kind: str) -> None:
    text = plain(text)
    if fails:
        failure = ElementTree.SubElement(case, "failure", message=text.partition("\n")[0], type=kind)
        failure.text = text
    else:
        ElementTree.SubElement(case, "system-out").text = text
