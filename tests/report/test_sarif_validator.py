"""The SARIF log against the validator of those who read it."""

import json
from pathlib import Path

import pytest
import sarif_multitool
from made_audit import change_evasion, made_audit

from edgerift.report import audit_sarif

#: The project has no page of its own that a log could name.
EXPECTED = {("warning", "SARIF2005"): 1}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = sarif_multitool.install(tmp_path_factory.mktemp("npm"))
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verdict", "findings"),
    [("fail", 40), ("fail", 0), ("pass", 3), ("pass", 0)],
    ids=["fails", "fails without findings", "passes", "passes without findings"],
)
def test_the_validator_of_github_finds_no_error(program: Path, tmp_path: Path, verdict: str, findings: int) -> None:
    log = tmp_path / "report.sarif"
    log.write_text(audit_sarif(made_audit(tmp_path, findings=findings, verdict=verdict)), encoding="utf-8")
    assert sarif_multitool.complaints(program, log, tmp_path) == EXPECTED


@pytest.mark.slow
def test_nor_does_it_in_an_audit_of_one_threat(program: Path, tmp_path: Path) -> None:
    audit = made_audit(tmp_path)
    for number, part in enumerate(
        (audit.replace(theft=None), audit.replace(evasion=None), change_evasion(audit, flags=()))
    ):
        log = tmp_path / f"{number}.sarif"
        log.write_text(audit_sarif(part), encoding="utf-8")
        assert sarif_multitool.complaints(program, log, tmp_path) == EXPECTED


@pytest.mark.slow
def test_the_validator_does_find_a_result_without_a_place(program: Path, tmp_path: Path) -> None:
    content = json.loads(audit_sarif(made_audit(tmp_path)))
    del content["runs"][0]["results"][0]["locations"]
    log = tmp_path / "report.sarif"
    log.write_text(json.dumps(content), encoding="utf-8")
    levels = {level for level, _ in sarif_multitool.complaints(program, log, tmp_path)}
    assert "error" in levels
