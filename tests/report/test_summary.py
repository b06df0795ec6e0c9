"""The audit as Markdown, and where a CI wants it."""

import io
import re
from pathlib import Path

import pytest
from made_audit import HOSTILE, MADE, change_evasion, made_audit, made_fleet
from rich.console import Console

from edgerift.audit import Audit
from edgerift.errors import InputError
from edgerift.report import append_ci_summary, audit_html, audit_summary, audit_text


def tables(text: str) -> list[list[list[str]]]:
    """Read the tables of a page: for each the rows of cells, headings first and the rule below them left out."""
    found: list[list[list[str]]] = [[]]
    for line in text.replace("\xa0", " ").splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip().replace("\\", "") for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif found[-1]:
            found.append([])
    return [[rows[0], *rows[2:]] for rows in found if rows]


def test_tells_the_verdict_the_gate_the_attacks_and_the_thefts(tmp_path: Path) -> None:
    text = audit_summary(made_audit(tmp_path, findings=30))
    lines = text.splitlines()
    assert lines[0] == "# edgerift audit: fail"
    assert lines[2] == "resnet8 on digits, qat for mobile on executorch"
    assert "30 of 350 images that both models classify correctly could be perturbed" in text
    gate, attacks, thefts = tables(text)
    assert [row[-1] for row in gate[1:]] == ["fails", "holds", "fails", "holds"]
    assert gate[1][1:3] == ["12.0 %", "5.0 %"]
    assert [row[0] for row in attacks[1:]] == ["default", "pgd", "diva-2022"]
    assert attacks[1][1:] == ["8.6 %", "[5.9, 12.0]", "9.7 %", "0.9 %", "7.2"]
    assert thefts[1] == ["soft", "98.2 %", "[96.4, 99.3]", "4.2 %", "10.2 %"]
    assert "- **error** black-box: 110 of 350 images evade" in text
    assert "zero-gradients" not in text


def test_the_finding_to_replay_is_the_one_of_which_the_build_is_surest(tmp_path: Path) -> None:
    audit = made_audit(tmp_path, findings=9)
    surest = max(audit.evasion.findings, key=lambda one: one.build_probability)
    assert f"```sh\nedgerift replay findings/{surest.id}.json\n```" in audit_summary(audit)


@pytest.mark.parametrize(
    ("model", "runtime", "ending"),
    [
        ("resnet8", "executorch", ".json"),
        ("mine:create", "executorch", ".json --trust"),
        (None, "inductor", " --trust"),
    ],
)
def test_a_replay_that_runs_code_asks_for_trust(tmp_path: Path, model: str, runtime: str, ending: str) -> None:
    audit = made_audit(tmp_path)
    print_ = audit.pair.fingerprint.replace(runtime=runtime)
    text = audit_summary(audit.replace(pair=audit.pair.replace(model=model, fingerprint=print_)))
    [command] = [line for line in text.splitlines() if line.startswith("edgerift replay")]
    assert command.endswith(ending)


@pytest.mark.parametrize("left_out", ["evasion", "theft"])
def test_a_threat_that_was_not_examined_is_not_there(tmp_path: Path, left_out: str) -> None:
    text = audit_summary(made_audit(tmp_path).replace(**{left_out: None}))
    assert ("## Attacks" in text, "## Replay" in text) == (left_out != "evasion",) * 2
    assert ("## Model extraction" in text) == (left_out != "theft")


def test_names_are_no_markup(tmp_path: Path) -> None:
    audit = made_audit(tmp_path)
    name = f"a|b **c** {HOSTILE}"
    data = audit.data.replace(name=name)
    attacks = {**audit.evasion.attacks, name: audit.evasion.attacks["pgd"]}
    text = audit_summary(change_evasion(audit.replace(data=data), attacks=attacks))
    assert "<script>" not in text
    assert "\x1b" not in text
    assert "**c**" not in text
    _, attacked, _ = tables(text)
    assert {len(row) for row in attacked} == {6}


def test_another_run_of_the_same_audit_writes_the_same(tmp_path: Path) -> None:
    audit = made_audit(tmp_path)
    again = audit.replace(made=MADE.replace(command="edgerift audit", folder="x"), times={"train": 1.0})
    assert audit_summary(again) == audit_summary(audit) == audit_summary(audit.replace(made=None))


def test_is_appended_where_the_ci_says(tmp_path: Path) -> None:
    file = tmp_path / "summary"
    file.write_text("before\n")
    for text in ("# état", "# two"):
        append_ci_summary(text, {"GITHUB_STEP_SUMMARY": str(file)})
    assert file.read_text(encoding="utf-8") == "before\n# état\n# two\n"


@pytest.mark.parametrize("environ", [{}, {"GITHUB_STEP_SUMMARY": ""}], ids=["not named", "empty"])
def test_nothing_is_written_where_no_ci_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    append_ci_summary("# text", environ)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"which GITHUB_STEP_SUMMARY names \(.*\); unset GITHUB_STEP_SUMMARY"
    ) as caught:
        append_ci_summary("# text", {"GITHUB_STEP_SUMMARY": str(tmp_path)})
    assert "\n" not in str(caught.value)


def leads(audit: Audit, *given: tuple[float, float] | None) -> Audit:
    first = audit.evasion.findings[0]
    parts = tuple(
        first.replace(id=f"{number}", build_right_probability=None)
        if pair is None
        else first.replace(id=f"{number}", build_probability=pair[0], build_right_probability=pair[1])
        for number, pair in enumerate(given)
    )
    return change_evasion(audit, findings=parts)


def test_counts_how_sure_the_build_is(tmp_path: Path) -> None:
    # Leads of 0.5, which is sure, 0.75, 0.4375, 0.09375 and 0.
    given = [(0.75, 0.25), (0.875, 0.125), (0.6875, 0.25), (0.5, 0.40625), (0.5, 0.5)]
    text = audit_summary(leads(made_audit(tmp_path), *given))
    assert (
        "The build is confident in the wrong class in 2, leaning towards it in 1, undecided in 2 of the 5 findings."
        in text
    )


def test_an_audit_without_the_leads_says_nothing_of_them(tmp_path: Path) -> None:
    text = audit_summary(leads(made_audit(tmp_path), (0.75, 0.25), None))
    assert "undecided" not in text


@pytest.mark.parametrize(("rule", "holds", "told"), [("evasive", False, True), ("evasive", True, False)])
def test_the_command_that_closes_the_rift_follows_a_gate_that_fails_on_evasion(
    tmp_path: Path, rule: str, holds: bool, told: bool
) -> None:
    command = "edgerift harden --against evasion --out 'a b'"
    audit = made_audit(tmp_path)
    gate = tuple(part.replace(holds=holds) if part.rule == rule else part for part in audit.gate)
    audit = audit.replace(gate=gate, made=MADE.replace(closing=command))
    console = Console(width=400, record=True, file=io.StringIO())
    console.print(audit_text(audit, tmp_path))
    for text in (audit_summary(audit), console.export_text(), audit_html(audit, tmp_path).replace("&#39;", "'")):
        assert (command in text) is told
    assert "Close the gap" not in audit_summary(audit.replace(made=MADE))


def test_every_page_lists_kernels_that_disagree(tmp_path: Path) -> None:
    audit = change_evasion(made_audit(tmp_path), fleet=made_fleet(21, 60))
    console = Console(width=400, file=io.StringIO())
    console.print(audit_text(audit))
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    pages = [audit_summary(audit), audit_html(audit, tmp_path), printed]
    words = "21 of 60 images that the original and both litert and litert-builtin classify correctly could be perturbed"
    for page in pages:
        assert words in page
        assert "35.0 %" in page.replace("\xa0", " ")
    rows = next(table for table in tables(pages[0]) if table[0][:2] == ["Right", "Wrong"])
    assert rows[1:] == [
        ["litert", "litert-builtin", "35.0 %", "[23.1, 48.4]", "0.2 %"],
        ["litert-builtin", "litert", "0.0 %", "[0.0, 6.0]", "0.2 %"],
    ]
    assert "kernels" not in audit_summary(made_audit(tmp_path))
