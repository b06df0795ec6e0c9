"""The SARIF log against the standard's own schema, and what it says."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from made_audit import HOSTILE, change_evasion, made_audit

from edgerift.audit import Audit
from edgerift.report import audit_sarif

SCHEMA = json.loads((Path(__file__).parent / "data" / "sarif-schema-2.1.0.json").read_text())


def run_of(audit: Audit) -> dict[str, Any]:
    log = json.loads(audit_sarif(audit))
    jsonschema.Draft4Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(log)
    [run] = log["runs"]
    assert isinstance(run, dict)
    return run


def test_the_schema_refuses_what_is_no_log() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(SCHEMA).validate({"version": "2.1.0", "runs": [{"results": []}]})


def test_has_a_result_for_each_finding_failure_and_raised_check(tmp_path: Path) -> None:
    audit = made_audit(tmp_path, findings=3)
    run = run_of(audit)
    rules = [result["ruleId"] for result in run["results"]]
    stolen, failed, raised = ["stolen-build"], ["gate-failure"] * 2, ["black-box", "more-steps", "sample-size"]
    assert rules == ["evasive-image"] * 3 + stolen + failed + raised
    known = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert known == ["evasive-image", *stolen, "gate-failure", *raised, "zero-gradients", "questions"]
    assert all(known[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
    assert [result["level"] for result in run["results"][4:]] == ["error", "error", "error", "warning", "note"]


def test_a_finding_points_to_its_evidence(tmp_path: Path) -> None:
    audit = made_audit(tmp_path, findings=1)
    [finding], result = audit.evasion.findings, run_of(audit)["results"][0]
    place = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert place == finding.attacked_png
    assert (tmp_path / place).is_file()
    assert result["partialFingerprints"] == {"attackedPixels/sha256": finding.sha256}
    assert result["properties"]["build_label"] == finding.build_label
    assert f"edgerift replay findings/{finding.id}.json" in result["message"]["text"]


@pytest.mark.parametrize(("verdict", "code"), [("fail", 1), ("pass", 0)])
def test_the_verdict_is_the_exit_code(tmp_path: Path, verdict: str, code: int) -> None:
    run = run_of(made_audit(tmp_path, findings=code, verdict=verdict))
    [invocation] = run["invocations"]
    assert invocation["executionSuccessful"] is True
    assert invocation["exitCode"] == code
    assert run["properties"]["verdict"] == verdict
    assert sum(result["ruleId"] == "gate-failure" for result in run["results"]) == 2 * code


def test_names_are_neither_placeholders_nor_links(tmp_path: Path) -> None:
    audit = made_audit(tmp_path, findings=1, classes=("[click](http://x)", "{0}" + HOSTILE))
    text = run_of(audit)["results"][0]["message"]["text"]
    assert "\\[click\\](http://x)" in text
    assert "{{0}}" in text
    assert "\x1b" not in text


def test_strange_file_names_become_addresses(tmp_path: Path) -> None:
    audit = made_audit(tmp_path, findings=1)
    odd = audit.evasion.findings[0].replace(attacked_png="findings/a b#%.png")
    result = run_of(change_evasion(audit, findings=(odd,)))["results"][0]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "findings/a%20b%23%25.png"


def test_the_best_theft_is_a_result(tmp_path: Path) -> None:
    run = run_of(made_audit(tmp_path).replace(evasion=None))
    [result] = [one for one in run["results"] if one["ruleId"] == "stolen-build"]
    assert "agrees with the build on 98.2" in result["message"]["text"]
    assert (result["level"], result["properties"]["thief"]) == ("warning", "soft")
    assert result["properties"]["disagreement"]["successes"] == 7
    assert run["properties"]["disagreement"]["successes"] == 7
    assert "evasive" not in run["properties"]
    alone = run_of(made_audit(tmp_path).replace(theft=None))
    assert {one["ruleId"] for one in alone["results"]} >= {"evasive-image", "gate-failure"}
    assert "stolen-build" not in {one["ruleId"] for one in alone["results"]}
    assert "thief" not in alone["properties"]
