"""A comparison's report is that of a study of one cell: its figures, its verdict, and no text of it as markup."""

import io
import re
from pathlib import Path

import pytest
from made_audit import HOSTILE
from made_hardening import TITLES, made_hardening, made_search
from report_page import Page, plain
from rich.console import Console

from edgerift.facts import facts, single
from edgerift.harden import Hardening
from edgerift.measure import Interval
from edgerift.report import StudyTable, hardening_text, study_tables, write_hardening
from edgerift.report.hardening._about import about_hardening
from edgerift.report.study._html import page_html
from edgerift.report.study._markdown import page_markdown

SAID = (
    "Undefended, the clones are good.",
    "DivQAT: it hinders both attackers.",
    "DivQAT: strength 1.125 moves the answers by l1 0.116",
    "each made 2,000 queries from digits collages, of a budget of 2,500",
    "l1 0.6 from the QAT build and a loss of 5 points of accuracy",
    "l1 0.006 apart on the test images and 0.026 on the queries",
    "one clone with one seed: a difference of a point or two is within seed-to-seed variation",
    "appears at alpha 0.071 and flips the label at 0.113",
    "first to cost more accuracy than allowed: none",
)
FILES = {
    "harden.json", "records.csv", "tables.md", "report.html", "figures/tradeoff.png", "figures/reliability.png",
    "figures/sweeps.png", "figures/alpha.png",
}  # fmt: skip


def shown(hardening: Hardening, width: int = 120, folder: Path | None = None) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(hardening_text(hardening, folder))
    return plain(console.file.getvalue())


def flat(text: str) -> str:
    return " ".join(text.split())


def html(hardening: Hardening, folder: Path) -> str:
    return page_html(single(hardening), about_hardening(hardening), folder, {})


def tables(hardening: Hardening) -> dict[str, StudyTable]:
    return {table.name: table for table in study_tables(single(hardening))}


def column(table: StudyTable, heading: str) -> list[float | None]:
    """Read the figures of a column whose heading starts so."""
    (place,) = [place for place, one in enumerate(table.headings) if one.line.startswith(heading)]
    return [None if row[place] is None else row[place].value for row in table.rows]  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hardening") / "new"
    write_hardening(made_hardening(("qat", "rs", "divqat")), folder)
    return folder


def test_writes_a_whole_report(written: Path) -> None:
    found = {path.relative_to(written).as_posix() for path in written.rglob("*") if not path.name.startswith(".")}
    names = set(tables(made_hardening(("qat", "rs", "divqat"))))
    assert names == {"victims", "answers", "cost", "searches", "trials", "alphas"}
    assert found - {"tables", "figures"} == FILES | {
        f"tables/{name}.{end}" for name in names for end in ("md", "csv", "tex")
    }
    document = (written / "harden.json").read_bytes()
    assert Hardening.model_validate_json(document) == made_hardening(("qat", "rs", "divqat"))


@pytest.mark.parametrize("said", SAID)
def test_every_form_says_what_was_found_and_how(written: Path, said: str) -> None:
    assert said in Page((written / "report.html").read_text(encoding="utf-8")).text
    assert said in flat((written / "tables.md").read_text(encoding="utf-8"))
    assert said in flat(shown(made_hardening(("qat", "rs", "divqat"))))


def test_page_has_its_pictures_and_its_verdict_before_its_tables(written: Path) -> None:
    text = (written / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not page.open
    assert len(page.all("img")) == len([name for name in FILES if name.endswith(".png")])
    assert text.index("hinders both attackers") < text.index("<table")
    links = {one["href"] for one in page.all("a")}
    assert links == {f"#{name}" for name in ("main", *(one["id"] for one in page.all("section")))}
    assert "edgerift study run" not in page.text
    assert any(f"DivQAT {'1.9 %'}" in plain(image["alt"]) for image in page.all("img"))
    assert any("deception: from l1 0.000" in image["alt"] for image in page.all("img"))


@pytest.mark.parametrize("paper", [False, True])
def test_tables_have_the_documents_figures_and_the_papers(paper: bool) -> None:
    hardening = made_hardening(tuple(TITLES), paper=paper)
    own = tables(hardening)
    victims = own["victims"]
    parts = [part for name, part in hardening.victim.items() if "+" not in name]
    soft = "Adversary's error (%), soft labels: "
    mine = next(heading.line for heading in victims.headings if heading.line.startswith(soft.rstrip(": ")))
    assert column(victims, mine) == pytest.approx([100 * part.adversary_error.soft.value for part in parts])
    assert any("paper" in heading.line for heading in victims.headings) is paper
    if paper:
        printed = [None if part.paper is None else round(100 * part.paper.adversary_error, 4) for part in parts]
        assert column(victims, f"{soft}paper") == printed
    assert ("2512.23948, for a ResNet-18 victim that it calls mobile" in own["victims"].caption) is paper
    parts = list(hardening.victim.values())
    for heading, expected in (
        ("Disagreement (%): soft", [100 * part.disagreement.soft.value for part in parts]),
        ("Adversary's error at its best epoch (%): hard", [100 * part.best_epoch.hard.error for part in parts]),
        ("l1 on the queries", [part.l1_queries.value for part in parts]),
        ("KL to the original", [part.divergence.value for part in parts]),
        ("Negative log-likelihood", [part.negative_log_likelihood for part in parts]),
        ("Probability (%): second", [100 * part.top2 for part in parts]),
    ):
        assert column(own["answers"], heading) == pytest.approx(expected)
    trials = hardening.searches["divqat"].trials
    assert column(own["trials"], "l1") == [trial.l1 for trial in trials]
    # The last one is right on a tenth of the images of ten classes.
    assert [row[-1] for row in own["trials"].rows] == ["yes", "yes", "yes", "no (collapsed)"]
    assert [trial.allowed for trial in trials] == [True, True, True, False]


@pytest.mark.parametrize("width", [80, 120, 200])
def test_terminal_has_every_main_figure_at_any_width(width: int) -> None:
    hardening = made_hardening(tuple(TITLES))
    text = shown(hardening, width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    for part in hardening.victim.values():
        assert f"{part.l1.value:.3f}" in text
        errors: list[Interval] = [part.defender_error, part.adversary_error.soft, part.adversary_error.hard]
        for error in errors:
            assert f" {100 * error.value:.1f}" in text
            assert f"{100 * error.low:.1f}–{100 * error.high:.1f}" in text
    assert "beta 0.1235" in text


def test_a_search_that_the_verdict_tells_of_is_not_told_twice(tmp_path: Path) -> None:
    verdict = f"Search: {made_search().verdict}."
    text = flat(shown(made_hardening().replace(verdict=verdict), folder=tmp_path))
    assert text.count("moves the answers by") == 1
    assert str(tmp_path / "report.html") in text.replace(" ", "")


def test_an_alpha_whose_training_diverged_is_named_everywhere(tmp_path: Path) -> None:
    hardening = made_hardening().replace(diverged=(2.5, 40.0))
    text = page_markdown(single(hardening), about_hardening(hardening), {})
    for shown_text in (flat(shown(hardening)), Page(html(hardening, tmp_path)).text, text):
        assert "ended there without a model: alpha 2.5, 40." in shown_text
    assert "without a model" not in shown(made_hardening())


def test_what_is_not_known_leaves_no_trace(tmp_path: Path) -> None:
    bare = made_hardening(paper=False, search=False, alphas=False, sweeps=False)
    assert set(tables(bare)) == {"victims", "answers", "cost"}
    for text in (Page(html(bare, tmp_path)).text, page_markdown(single(bare), about_hardening(bare), {}), shown(bare)):
        assert not re.search(r"poisoned|paper|None|DivQAT: strength", text)


def test_text_of_the_document_is_no_markup(tmp_path: Path) -> None:
    hardening = made_hardening(data=f"[b]x[/b] {HOSTILE}").replace(verdict=f"{HOSTILE}\n{HOSTILE}: x", model=HOSTILE)
    part = hardening.victim["qat"].replace(title=f"| {HOSTILE}\n")
    hardening = hardening.replace(victim={**hardening.victim, "qat": part})
    text = html(hardening, tmp_path)
    assert text.count("<script") == 1
    assert Page(text).text.count('<script>alert("x")</script>') >= 5
    markdown = page_markdown(single(hardening), about_hardening(hardening), {})
    assert "<script" not in markdown
    for own in (text, markdown, shown(hardening, 200)):
        assert not {"\x1b", "\u202e"} & set(own)
    assert "[b]x[/b]" in shown(hardening, 300)


def test_facts_of_a_run_are_those_of_its_cell_and_the_papers_for_its_target() -> None:
    hardening = made_hardening()
    found = single(hardening)
    measured = [fact for fact in found if fact.source == "measured"]
    assert [fact.cells() for fact in measured] == [fact.cells() for fact in facts(found.result)]
    assert {fact.target for fact in found if fact.source == "published"} == {"mobile"}
