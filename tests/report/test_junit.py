"""The JUnit XML as a JUnit parser reads it."""

from pathlib import Path

import pytest
from junitparser import JUnitXml, TestCase, TestSuite
from made_audit import HOSTILE, MADE, change_evasion, made_audit

from edgerift.audit import Audit
from edgerift.report import audit_junit


def suite_of(audit: Audit) -> TestSuite:
    [suite] = JUnitXml.fromstring(audit_junit(audit).encode())
    assert isinstance(suite, TestSuite)
    return suite


def cases_of(suite: TestSuite) -> dict[str, TestCase]:
    return {f"{case.classname}.{case.name}": case for case in suite}


@pytest.mark.parametrize(("verdict", "tests", "failures"), [("fail", 9, 3), ("pass", 8, 0)])
def test_counts(tmp_path: Path, verdict: str, tests: int, failures: int) -> None:
    suite = suite_of(made_audit(tmp_path, findings=3 if failures else 0, verdict=verdict))
    assert suite.name == "edgerift audit"
    assert (suite.tests, suite.failures, suite.errors) == (tests, failures, 0)
    assert len(list(suite)) == tests
    assert sum(not case.is_passed for case in suite) == failures
    assert suite.time == pytest.approx(76.74)
    assert {one.name: one.value for one in suite.properties()}["verdict"] == verdict


def test_tells_of_the_run_that_wrote_it(tmp_path: Path) -> None:
    audit = made_audit(tmp_path)
    suite = suite_of(audit)
    told = {one.name: one.value for one in suite.properties()}
    assert suite.timestamp == "2026-03-01T14:05:09+00:00"
    assert (told["model"], told["command"]) == ("resnet8", MADE.command)
    silent = suite_of(audit.replace(made=None, pair=audit.pair.replace(model=None)))
    assert silent.timestamp is None
    assert {"model", "command"}.isdisjoint(one.name for one in silent.properties())


def test_only_broken_rules_and_errors_fail(tmp_path: Path) -> None:
    cases = cases_of(suite_of(made_audit(tmp_path, findings=3)))
    failed = {name for name, case in cases.items() if not case.is_passed}
    assert failed == {"edgerift.audit.gate.evasive", "edgerift.audit.gate.errors", "edgerift.audit.check.black-box"}
    [failure] = cases["edgerift.audit.gate.evasive"].result
    assert failure.message.replace("\xa0", " ").endswith("measured 2.5 %, limit 5.0 %")
    warning = cases["edgerift.audit.check.more-steps"]
    assert warning.system_out.startswith("warning: 12 of 341 images")
    assert "Raise --steps until the curve is flat." in warning.system_out


def test_any_text_is_well_formed(tmp_path: Path) -> None:
    audit = made_audit(tmp_path)
    text = HOSTILE + "\x00\ufffe]]> &lt;"
    assert audit.evasion is not None
    flag = audit.evasion.flags[-1].replace(name=text, seen=text)
    odd = change_evasion(audit, flags=(flag,)).replace(gate=(audit.gate[0].replace(rule=text, text=text),), theft=None)
    rule, flag = suite_of(odd)
    assert rule.name == flag.name
    assert '<script>alert("x")</script>' in flag.name
    assert "\\x00\\ufffe]]> &lt;" in flag.name
    assert flag.name in flag.result[0].text


def test_tells_of_the_threats_that_were_examined(tmp_path: Path) -> None:
    audit = made_audit(tmp_path)

    def said(audit: Audit) -> str:
        outcome = {one.name: one.value for one in suite_of(audit).properties()}["outcome"]
        assert isinstance(outcome, str)
        return outcome

    cases = cases_of(suite_of(audit))
    assert "edgerift.audit.check.questions" in cases
    assert cases["edgerift.audit.gate.stolen"].is_passed
    assert "could be perturbed" in said(audit)
    assert "An attacker with 2,000 queries" in said(audit)
    assert "An attacker" not in said(audit.replace(theft=None))
    assert said(audit.replace(evasion=None)).startswith("An attacker")
    assert "edgerift.audit.check.black-box" not in cases_of(suite_of(audit.replace(evasion=None)))
