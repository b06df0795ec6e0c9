"""What an audit says of attackers who lack a model."""

import io
from pathlib import Path

from made_audit import change_evasion, made_audit
from rich.console import Console

from edgerift.audit import Audit, KnowledgePart
from edgerift.measure import Rate, interval
from edgerift.report import audit_html, audit_text


def made(folder: Path) -> Audit:
    part = KnowledgePart(
        knows="build",
        queries=20_000,
        agreement=interval(Rate(920, 1000)),
        agreement_original=interval(Rate(890, 1000)),
        evasive=interval(Rate(7, 350)),
        only_white_box=12,
        only_surrogates=2,
        p=0.0129,
    )
    answers = part.replace(knows="answers", evasive=interval(Rate(0, 350)))
    return change_evasion(made_audit(folder, findings=3), knowledge=(part, answers))


def test_the_terminal_says_what_was_paid_and_what_it_brought(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=400)
    console.print(audit_text(made(tmp_path)))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue().replace("\xa0", " ")
    assert (
        "Without the original, with 20,000 queries (the surrogate agrees with the build on 92.0 %, with the "
        "original on 89.0 %): 2.0 % [0.8 %, 4.1 %] evasive, judged once; with both models 0.9 %, p = 0.013." in text
    )
    assert "From answers alone, with 20,000 queries" in text


def test_the_page_says_the_same(tmp_path: Path) -> None:
    page = audit_html(made(tmp_path), tmp_path).replace("\xa0", " ")
    assert page.count("the surrogate agrees with the build on 92.0 %") == 2
    assert "the surrogate" not in audit_html(made_audit(tmp_path), tmp_path)
