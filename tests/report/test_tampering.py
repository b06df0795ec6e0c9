"""What the reports say of a build that is not what it claims to be."""

import json
from pathlib import Path

import pytest
from made_audit import made_audit, made_verification
from rich.console import Console

from edgerift.audit import CATALOGUES, Audit
from edgerift.report import audit_sarif, audit_summary, audit_text


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return made_audit(tmp_path, findings=1).replace(tampering=made_verification())


def tampered(audit: Audit) -> list[tuple[str, str]]:
    (run,) = json.loads(audit_sarif(audit))["runs"]
    return [(one["level"], one["message"]["text"]) for one in run["results"] if one["ruleId"] == "tampered-build"]


def test_each_deviation_is_a_result_with_its_place_in_the_document(audit: Audit) -> None:
    ((level, message),) = tampered(audit)
    assert (level, "7 of 1,000 codes" in message) == ("error", True)
    (run,) = json.loads(audit_sarif(audit))["runs"]
    (result,) = (one for one in run["results"] if one["ruleId"] == "tampered-build")
    line = result["locations"][0]["physicalLocation"]["region"]["startLine"]
    lines = audit.model_dump_json(indent=2).splitlines()
    assert '"name": "rounding"' in lines[line]
    assert result["properties"]["places"][0]["index"] == [0, 2, 1, 1]


def test_what_cannot_be_told_is_a_note_where_nothing_is_certain(audit: Audit) -> None:
    unknown = audit.replace(tampering=made_verification("unknown"))
    assert tampered(unknown) == [("note", "Check 'biases': The biases of stem are not the original's.")]
    assert tampered(audit.replace(tampering=made_verification("conforms"))) == []


def test_rules_and_findings_name_the_entries_of_catalogues(audit: Audit) -> None:
    (run,) = json.loads(audit_sarif(audit))["runs"]
    named = {rule["id"]: rule["properties"].get("maps_to") for rule in run["tool"]["driver"]["rules"]}
    assert named["evasive-image"] == list(CATALOGUES["evasion"])
    assert named["stolen-build"] == list(CATALOGUES["theft"])
    assert named["tampered-build"] == list(CATALOGUES["tampering"])
    assert named["gate-failure"] is None
    (finding,) = (one for one in run["results"] if one["ruleId"] == "evasive-image")
    assert finding["properties"]["maps_to"] == list(CATALOGUES["evasion"])


def test_the_terminal_and_the_summary_list_the_checks(audit: Audit) -> None:
    console = Console(width=200, record=True)
    with console.capture() as shown:
        console.print(audit_text(audit))
    assert "7 of 1,000 codes (0.70%) are not the nearest" in shown.get()
    summary = audit_summary(audit)
    assert "## The build against its original" in summary
    assert "| rounding | deviates |" in summary
