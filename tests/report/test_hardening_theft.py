"""A theft and a sweep of defences in a terminal."""

import io
from pathlib import Path

import pytest
from made_audit import HOSTILE
from made_hardening import made_defending, made_theft
from rich.console import Console, RenderableType

from edgerift.report import defend_text, theft_text
from edgerift.report.hardening._defend import defending_markdown


def shown(what: RenderableType, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(what)
    return console.file.getvalue().replace("\N{NO-BREAK SPACE}", " ")


def rows(text: str) -> dict[str, str]:
    lines = (line.split("  ", 1) for line in map(str.strip, text.splitlines()))
    return {line[0]: " ".join(line[1].split()) for line in lines if len(line) == 2}


def test_theft_has_its_figures(tmp_path: Path) -> None:
    theft = made_theft()
    text = shown(theft_text(theft, tmp_path))
    found = rows(text)
    for name, one in (
        ("Defender's error (%)", theft.defender_error),
        ("Adversary's error (%)", theft.adversary_error),
        ("Disagreement (%)", theft.disagreement),
    ):
        assert found[name] == f"{100 * one.value:.1f}"
        assert f"{100 * one.low:.1f}–{100 * one.high:.1f}" in text
    assert found["At its best epoch on the test images, 13 (%)"] == "18.4"
    assert found["l1 of the defence, test images"] == "0.432"
    assert "0.420–0.444" in text
    assert found["l1 of the defence, queries"].startswith("0.543")
    assert found["KL(victim || clone), nats"].startswith("0.654")
    words = " ".join(text.split())
    assert "2,000 queries from collages, of a budget of 2,500. Defence: reverse-sigmoid, beta 0.1235" in words
    assert str(tmp_path / "clone.safetensors") in words.replace(" ", "")


def test_theft_without_a_defence_says_so() -> None:
    assert "Defence: none" in " ".join(shown(theft_text(made_theft(()))).split())
    assert "clone.safetensors" not in shown(theft_text(made_theft()))


@pytest.mark.parametrize("stolen", [False, True])
def test_sweep_has_every_strength_and_the_choice(tmp_path: Path, stolen: bool) -> None:
    swept = made_defending(stolen=stolen)
    text = shown(defend_text(swept, tmp_path))
    assert "…" not in text
    for points in swept.sweeps.values():
        for point in points:
            (line,) = [
                line for line in text.splitlines() if line.split()[:2] == [f"{point.strength:g}", f"{point.l1:.3f}"]
            ]
            assert f" {100 * point.error:.1f} " in line
            assert line.split()[-1] == ("yes" if point.l1 <= 0.6 else "no")
            if point.adversary_error is not None:
                assert f" {100 * point.adversary_error.value:.1f} " in line
    assert ("Clone's" in text) is stolen
    assert "The strongest within l1 0.6: reverse-sigmoid, beta 0.1235." in text
    assert "label-only: no strength stays within l1 0.6." in text
    assert "reverse-sigmoid 0.051, label-only 0.032" in " ".join(text.split())
    assert "sweep.png" in text.replace("\n", "")


@pytest.mark.parametrize("stolen", [False, True])
def test_sweeps_have_a_markdown_table_for_each_defence(stolen: bool) -> None:
    swept = made_defending(stolen=stolen)
    text = defending_markdown(swept)
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(blocks) == 2
    for (headings, _, *lines), points in zip(blocks, swept.sweeps.values(), strict=True):
        assert ("Clone's error" in headings) is stolen
        cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
        assert [row[1] for row in cells] == [f"{point.l1:.3f}" for point in points]
        assert [row[2] for row in cells] == [f"{100 * point.error:.1f}" for point in points]
    assert "The strongest within l1 0.6: reverse-sigmoid, beta 0.1235." in text
    assert "label-only: no strength stays within l1 0.6." in text


def test_text_of_the_documents_is_no_markup() -> None:
    for what in (
        theft_text(made_theft(queries=f"[b]q[/b] {HOSTILE}")),
        defend_text(made_defending(data=f"[b]q[/b] {HOSTILE}")),
    ):
        text = shown(what, 200)
        assert "[b]q[/b]" in text
        assert "\x1b" not in text
