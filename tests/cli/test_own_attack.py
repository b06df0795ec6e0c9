"""`edgerift audit` with an attack of the user's own: only with --trust, judged as any other, refused early."""

from pathlib import Path

import pytest

from edgerift.audit import read_audit

OWN = Path(__file__).parents[1] / "helpers" / "own_attacks.py"


@pytest.fixture
def given(small_pair, tmp_path):
    """Audit the pair on the disk with short attacks on 24 images."""
    short = ("--epsilon", 30, "--steps", 6, "--images", 24, "--store", tmp_path / "kept")
    return ("audit", "--threats", "evasion", "--adapted", small_pair.folder, "--size", 12, *short)


def test_it_is_audited_with_trust_and_its_findings_replay(run, given, tmp_path):
    own = ("--attack", f"{OWN}:pursue", "--attack", "pgd", "--out", tmp_path / "out")
    refused = run(*given, *own).line()
    assert "is code that the audit would import and run; pass --trust" in refused
    assert not (tmp_path / "out" / "audit.json").exists()
    assert run(*given, "--trust", *own).code == 1
    audit = read_audit(tmp_path / "out")
    assert audit.evasion.main_attack == "pursue"
    assert set(audit.evasion.attacks) == {"pursue", "pgd"}
    part = audit.evasion.attacks["pursue"]
    assert part.attack.own.name == f"{OWN}:pursue"
    assert part.evasive.successes > 0
    assert (part.gradient_calls, part.build_questions) == (None, None)
    assert {flag.level for flag in audit.evasion.flags} <= {"ok", "note", "warning"}
    assert len(audit.evasion.findings) == part.evasive.successes
    assert run("replay", tmp_path / "out" / "findings" / f"{audit.evasion.findings[0].id}.json").code == 0
    assert f"your own {OWN}:pursue" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("attacks", "told"),
    [
        (("nowhere.py:attack",), "no Python file defines attack 'nowhere.py:attack'"),
        ((f"{OWN}:corner",), "did you mean 'corners'"),
        ((f"{OWN}:corners", f"{OWN.parent}/./own_attacks.py:corners"), "two attacks are called 'corners'"),
    ],
)
def test_one_that_cannot_run_is_refused_at_once(run, given, attacks, told, tmp_path):
    options = [part for name in attacks for part in ("--attack", name)]
    assert told in run(*given, "--trust", *options, "--out", tmp_path / "out").line()
