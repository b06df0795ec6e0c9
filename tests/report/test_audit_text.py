"""The audit in a terminal."""

import io
from pathlib import Path

import pytest
from made_audit import HOSTILE, change_evasion, made_audit
from rich.console import Console, RenderableType

from edgerift.report import audit_text


def shown(text: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(text)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().replace("\xa0", " ")


@pytest.mark.parametrize(("verdict", "last"), [("fail", "The gate fails."), ("pass", "The gate holds.")])
def test_ends_with_the_verdict(tmp_path: Path, verdict: str, last: str) -> None:
    text = shown(audit_text(made_audit(tmp_path, findings=3, verdict=verdict)))
    assert text.splitlines()[-1] == last
    assert "3 of 350 images that both models classify correctly could be perturbed" in text
    assert ("fails │" in text) == (verdict == "fail")


def test_tells_what_speaks_and_where_to_look(tmp_path: Path) -> None:
    text = shown(audit_text(made_audit(tmp_path, findings=3), Path("out")))
    assert "warning more-steps: 12 of 341 images were found in the last fifth" in text
    assert "zero-gradients" not in text
    assert (
        "Fine-tuning alone opens a larger gap than the build has: 0.9 % on the build, 11.8 % on the control"
        in " ".join(text.split())
    )
    assert "Most important layer: body.stage3.block0.conv2; restoring it to float fixes" in text
    assert "Report: out/report.html" in text
    assert "Replay a finding: edgerift replay out/findings/00002.json" in text


def test_names_are_neither_markup_nor_commands(tmp_path: Path) -> None:
    audit = made_audit(tmp_path)
    name = f"[bold]x[/bold] {HOSTILE}"
    layers = (audit.evasion.layers[0].replace(layer=name),)
    text = shown(audit_text(change_evasion(audit, layers=layers).replace(data=audit.data.replace(name=name))))
    assert "[bold]x[/bold]" in text
    assert "\x1b" not in text


def test_tells_the_result_of_each_attacker(tmp_path: Path) -> None:
    text = shown(audit_text(made_audit(tmp_path)))
    assert "resnet8 on digits, qat for mobile on executorch, 2,000 queries from digits collages" in text
    rows = {
        line.split("│")[1].strip(): [cell.strip() for cell in line.split("│")[2:-1]]
        for line in text.splitlines()
        if "│" in line
    }
    assert rows["soft"] == ["98.2 %", "96.4 % to 99.3 %", "4.2 %", "10.2 %", "0.8 %"]
    assert rows["hard"] == ["95.2 %", "92.7 % to 97.1 %", "7.5 %", "10.2 %", "2.8 %"]
    assert (
        "An attacker with 2,000 queries gets a clone that agrees with the build on 98.2 % [96.4, 99.3] of the test"
        in text
    )


@pytest.mark.parametrize("left_out", ["evasion", "theft"])
def test_only_what_was_examined_is_told(tmp_path: Path, left_out: str) -> None:
    text = shown(audit_text(made_audit(tmp_path).replace(**{left_out: None}), Path("out")))
    assert ("could be perturbed" in text) == (left_out == "theft")
    assert ("Replay a finding" in text) == (left_out == "theft")
    assert ("An attacker with" in text) == (left_out == "evasion")
    assert text.splitlines()[-1] == "The gate fails."
