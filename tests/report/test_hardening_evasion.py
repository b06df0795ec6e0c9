"""The report of a hardening against evasion: its tables, its curves and its page."""

import re
from pathlib import Path

import pytest
from made_evasion_hardening import made_evasion_hardening, made_means, made_trial
from rich.console import Console

from edgerift.harden import ChoicePart, EvasionHardening
from edgerift.report import evasion_hardening_text, write_evasion_hardening

FOUND = made_evasion_hardening(
    made_means("qat", "QAT", made_trial(None, (1, 5, 20, 60)), made_trial(0.98, (0, 1, 5, 30))),
    made_means("consistency", "<b>Consistency", made_trial(None, (0, 3, 9, 33)), made_trial(0.98, (0, 0, 0, 1))),
    chosen=ChoicePart(means="consistency", wanted=0.98),
).replace(audit="edgerift audit --adapted 'a b'")


def shown(found: EvasionHardening, folder: Path | None = None) -> str:
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(evasion_hardening_text(found, folder))
    console.file.close()
    return console.export_text()


def test_the_text_has_every_trial_and_what_comes_next() -> None:
    text = shown(FOUND, Path("out"))
    assert text.count("Consistency") == 2
    for figure in ("60.0 %", "33.0 %", "45.0 %", "40.0 %"):
        assert figure.replace(" %", "") in text
    assert "One line.\n" in text
    assert "Report: out/harden.html" in text
    assert "Audit the build: edgerift audit --adapted 'a b'" in text
    assert "Audit" not in shown(FOUND.replace(audit=None), Path("out"))


def test_the_page_is_whole_and_nothing_in_it_is_markup(tmp_path: Path) -> None:
    write_evasion_hardening(FOUND, tmp_path)
    page = (tmp_path / "harden.html").read_text()
    assert "<b>Consistency" not in page
    assert page.count("&lt;b&gt;Consistency</th>") == 2
    assert "A build passes" in page
    assert "edgerift audit --adapted &#39;a b&#39;" in page
    assert re.search(r'<img src="data:image/png;base64,iVBOR[^"]+" alt="The lowest evasive rate of each', page)
    assert EvasionHardening.model_validate_json((tmp_path / "harden.json").read_text()) == FOUND
    again = tmp_path / "again"
    again.mkdir()
    write_evasion_hardening(FOUND, again)
    for name in ("harden.html", "tradeoff.png", "harden.json"):
        assert (again / name).read_bytes() == (tmp_path / name).read_bytes()


@pytest.mark.parametrize("chosen", [None, ChoicePart(means="qat", wanted=0.98)])
def test_the_page_says_whether_a_build_passes(tmp_path: Path, chosen: ChoicePart | None) -> None:
    write_evasion_hardening(FOUND.replace(chosen=chosen), tmp_path)
    assert ("No build passes" in (tmp_path / "harden.html").read_text()) is (chosen is None)
