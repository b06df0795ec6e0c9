"""The SARIF log against the standard's own schema, and what it says."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from made_audit import HOSTILE, MADE, change_evasion, made_audit

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


def address(place: dict[str, Any]) -> str:
    file = place["physicalLocation"]["artifactLocation"]
    assert file["uriBaseId"] == "SRCROOT"
    return str(file["uri"])


def test_has_a_result_for_each_failure_finding_and_raised_check(tmp_path: Path) -> None:
    audit = made_audit(tmp_path, findings=3)
    run = run_of(audit)
    rules = [result["ruleId"] for result in run["results"]]
    failed, stolen, raised = ["gate-failure"] * 2, ["stolen-build"], ["black-box", "more-steps", "sample-size"]
    assert rules == failed + stolen + ["evasive-image"] * 3 + raised
    known = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert known == ["evasive-image", *stolen, "gate-failure", *raised, "zero-gradients", "questions"]
    assert all(known[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
    levels = [result["level"] for result in run["results"]]
    assert levels == ["error"] * 2 + ["warning"] * 4 + ["error", "warning", "note"]


@pytest.mark.parametrize("verdict", ["fail", "pass"])
def test_every_result_has_a_place_in_the_repository(tmp_path: Path, verdict: str) -> None:
    run = run_of(made_audit(tmp_path, verdict=verdict))
    assert "uri" not in run["originalUriBaseIds"]["SRCROOT"]
    for result in run["results"]:
        [place] = result["locations"]
        assert address(place).startswith("results/audit/")
        region = place["physicalLocation"]["region"]
        assert 1 <= region["startLine"] <= region["endLine"]
        assert (region["startLine"], region["startColumn"]) < (region["endLine"], region["endColumn"])


def test_a_result_about_the_audit_is_at_its_lines_of_the_document(tmp_path: Path) -> None:
    audit = made_audit(tmp_path)
    lines = audit.model_dump_json(indent=2).splitlines()

    def at(result: dict[str, Any]) -> Any:
        assert address(result["locations"][0]) == "results/audit/audit.json"
        region = result["locations"][0]["physicalLocation"]["region"]
        first, *others, last = lines[region["startLine"] - 1 : region["endLine"]]
        text = "".join([first[region["startColumn"] - 1 :], *others, last[: region["endColumn"] - 1]])
        return json.loads(text.removeprefix('"theft":'))

    found: dict[str, list[Any]] = {}
    for result in run_of(audit)["results"]:
        if result["ruleId"] != "evasive-image":
            found.setdefault(result["ruleId"], []).append(at(result))
    assert found["gate-failure"] == [rule.model_dump(mode="json") for rule in audit.gate if not rule.holds]
    assert audit.theft is not None
    assert found["stolen-build"] == [audit.theft.model_dump(mode="json")]
    for flag in audit.flags:
        assert found.get(flag.name, []) == ([] if flag.level == "ok" else [flag.model_dump(mode="json")])


def test_a_finding_points_to_its_evidence(tmp_path: Path) -> None:
    audit = made_audit(tmp_path, findings=1)
    [finding] = audit.evasion.findings
    [result] = [one for one in run_of(audit)["results"] if one["ruleId"] == "evasive-image"]
    assert address(result["locations"][0]) == f"results/audit/findings/{finding.id}.json"
    pictures = [address(place).removeprefix("results/audit/") for place in result["relatedLocations"]]
    assert pictures == [finding.attacked_png, finding.clean_png]
    assert all((tmp_path / name).is_file() for name in pictures)
    assert (result["properties"]["sha256"], result["properties"]["build_label"]) == (
        finding.sha256,
        finding.build_label,
    )
    assert f"edgerift replay findings/{finding.id}.json" in result["message"]["text"]


def marks(audit: Audit) -> list[str]:
    results = run_of(audit)["results"]
    return [result["partialFingerprints"]["primaryLocationLineHash"] for result in results]


def test_fingerprints_tell_results_apart_and_are_those_of_the_next_run(tmp_path: Path) -> None:
    audit = made_audit(tmp_path, findings=3)
    found = marks(audit)
    assert len(set(found)) == len(found) == 9
    again = audit.replace(made=MADE.replace(at="2026-04-01T00:00:00Z", folder="elsewhere"), times={"train": 3.0})
    first, *others = audit.evasion.findings
    moved = first.replace(build_probability=0.5, sha256="f" * 64, l2=1.0)
    assert sorted(marks(change_evasion(again, findings=(moved, *others)))) == sorted(found)
    other_images = audit.replace(data=audit.data.replace(fingerprint="9" * 32))
    assert len(set(found) & set(marks(other_images))) == len(found) - 3


def test_two_audits_of_a_commit_stand_beside_each_other(tmp_path: Path) -> None:
    audit = made_audit(tmp_path)
    other = audit.replace(pair=audit.pair.replace(target="server", runtime="onnxruntime"))
    names = [run_of(one)["automationDetails"]["id"] for one in (audit, other)]
    assert names == [
        "edgerift audit/digits/mobile/executorch/",
        "edgerift audit/digits/server/onnxruntime/",
    ]


def test_rules_say_what_to_do_and_how_severe_they_are(tmp_path: Path) -> None:
    rules = {rule["id"]: rule for rule in run_of(made_audit(tmp_path))["tool"]["driver"]["rules"]}
    severe = {name: rule["properties"].get("security-severity") for name, rule in rules.items()}
    assert {name for name, value in severe.items() if value} == {"evasive-image", "stolen-build", "gate-failure"}
    assert all(0 < float(value) <= 10 for value in severe.values() if value)
    assert "Raise --steps until the curve is flat." in rules["more-steps"]["help"]["text"]
    assert rules["black-box"]["properties"]["problem.severity"] == "error"


def test_texts_hold_no_unrounded_number(tmp_path: Path) -> None:
    audit = made_audit(tmp_path, findings=3)
    loss = audit.gate[0].replace(rule="accuracy_drop", measured=-1 / 3000, limit=1 / 3)
    for result in run_of(audit.replace(gate=(loss, *audit.gate)))["results"]:
        assert re.findall(r"\d\.\d{4,}|-0\.0", result["message"]["text"]) == []


@pytest.mark.slow
def test_a_log_is_never_larger_than_what_is_taken(tmp_path: Path) -> None:
    audit = made_audit(tmp_path, findings=1)
    [finding] = audit.evasion.findings
    many = tuple(
        finding.replace(id=f"{number:06d}", index=number, build_probability=0.5 + number / 60_000)
        for number in range(25_003)
    )
    log = json.loads(audit_sarif(change_evasion(audit, findings=many)))
    [run] = log["runs"]
    assert len(run["results"]) == 25_000
    assert run["properties"]["findings_left_out"] == 25_003 - (25_000 - 6)
    shown = [result["properties"]["index"] for result in run["results"] if result["ruleId"] == "evasive-image"]
    assert shown == list(range(25_002, 8, -1))


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
    [result] = [one for one in run_of(audit)["results"] if one["ruleId"] == "evasive-image"]
    text = result["message"]["text"]
    assert "\\[click\\](http://x)" in text
    assert "{{0}}" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("folder", "name", "uri"),
    [
        ("results/audit", "a b#%", "results/audit/findings/a%20b%23%25.json"),
        ("my audits/état", "x", "my%20audits/%C3%A9tat/findings/x.json"),
        (".", "x", "findings/x.json"),
    ],
    ids=["file", "folder", "root"],
)
def test_strange_file_names_become_addresses(tmp_path: Path, folder: str, name: str, uri: str) -> None:
    audit = made_audit(tmp_path, findings=1).replace(made=MADE.replace(folder=folder))
    odd = audit.evasion.findings[0].replace(id=name)
    [result] = [
        one for one in run_of(change_evasion(audit, findings=(odd,)))["results"] if one["ruleId"] == "evasive-image"
    ]
    assert address(result["locations"][0]) == uri


def test_an_audit_that_no_command_wrote_has_places_in_its_folder(tmp_path: Path) -> None:
    run = run_of(made_audit(tmp_path).replace(made=None))
    assert address(run["results"][0]["locations"][0]) == "audit.json"


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
