"""The comparison in a terminal: its figures on screens of any width, and no text of the document as markup."""

import io
import re
from pathlib import Path

import pytest
from made_audit import HOSTILE
from made_hardening import TITLES, made_hardening, made_search
from rich.console import Console

from edgerift.harden import Hardening
from edgerift.report import hardening_text
from edgerift.report.hardening._words import strength_words
from edgerift.report.shared._words import percent


def shown(hardening: Hardening, width: int = 120, folder: Path | None = None) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(hardening_text(hardening, folder))
    return console.file.getvalue().replace("\N{NO-BREAK SPACE}", " ")


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("width", [80, 100, 120, 200])
@pytest.mark.parametrize("paper", [False, True])
def test_every_figure_is_there_at_any_width(width: int, paper: bool) -> None:
    hardening = made_hardening(tuple(TITLES), paper=paper)
    text = shown(hardening, width)
    assert "…" not in text
    for part in hardening.victim.values():
        assert f"{part.l1.value:.3f}" in text
        for figure in (part.defender_error, *vars(part.adversary_error).values(), *vars(part.disagreement).values()):
            assert percent(figure.value).replace("\N{NO-BREAK SPACE}", " ") in text
            assert f"{100 * figure.low:.1f}–{100 * figure.high:.1f}" in text
        printed = part.paper
        if printed is not None:
            assert percent(printed.adversary_error).replace("\N{NO-BREAK SPACE}", " ") in text
    assert ("paper's" in text) is paper
    assert max(map(len, text.splitlines())) <= width


def test_row_has_its_own_figures() -> None:
    hardening = made_hardening()
    (row,) = [line for line in shown(hardening, 160).splitlines() if line.strip().startswith("QAT + Reverse")]
    part = hardening.victim["rs"]
    expected = [part.defender_error.value, part.adversary_error.soft.value, part.adversary_error.hard.value]
    expected += [part.paper.defender_error, part.paper.adversary_error]
    expected += [part.disagreement.soft.value, part.disagreement.hard.value]
    assert re.findall(r"[\d.]+ %", row) == [f"{100 * value:.1f} %" for value in expected]


def test_verdict_comes_first_and_a_search_that_it_tells_of_is_not_told_twice() -> None:
    hardening = made_hardening()
    text = words(shown(hardening))
    assert "hinders both attackers. DivQAT: strength 1.125 moves the answers by l1 0.116" in text
    told = words(shown(hardening.replace(verdict=f"Search: {made_search().verdict}.")))
    assert told.count("moves the answers by") == 1


def test_says_how_it_was_measured_and_what_it_cannot_tell(tmp_path: Path) -> None:
    text = words(shown(made_hardening(), folder=tmp_path))
    for said in (
        "2,000 queries from digits collages, of a budget of 2,500",
        "one clone with one seed",
        "l1 0.006 apart",
    ):
        assert said in text
    assert "appears at alpha 0.071 and flips the label at 0.113" in text
    assert "first to cost more accuracy than allowed: none" in text
    assert str(tmp_path / "report.html") in text.replace(" ", "")
    assert "Theory" not in shown(made_hardening(search=False))


def test_text_of_the_document_is_no_markup() -> None:
    hardening = made_hardening(data=f"[bold]x[/bold] {HOSTILE}")
    part = hardening.victim["qat"].replace(title="[red]QAT[/red]\x1b[31m")
    text = shown(hardening.replace(victim={**hardening.victim, "qat": part}), 200)
    assert "[bold]x[/bold]" in text
    assert "[red]QAT[/red]" in text
    assert "\x1b" not in text


def test_strengths_are_those_of_the_training_and_of_the_answers() -> None:
    parts = made_hardening(tuple(TITLES)).victim
    assert strength_words(parts["qat"]) == ""
    assert strength_words(parts["rs"]) == "beta 0.1235"
    assert strength_words(parts["divqat+dcp"]) == "strength 1.125; beta 0.75"
