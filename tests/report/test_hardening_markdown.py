"""The comparison as Markdown: the document's figures in tables, and its text neither markup nor a cell's end."""

import re

import pytest
from made_hardening import made_defending, made_hardening

from edgerift.report import hardening_markdown
from edgerift.report.hardening._markdown import defending_markdown
from edgerift.report.shared._words import percent, rate


def tables(text: str) -> list[list[list[str]]]:
    """Read the tables of a Markdown text: their rows, without the line under the headings."""
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    for block in blocks:
        counts = {len(re.split(r"(?<!\\)\|", line)) for line in block}
        assert len(counts) == 1
    return [
        [[_plain(cell) for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in (block[0], *block[2:])]
        for block in blocks
    ]


def _plain(cell: str) -> str:
    return re.sub(r"\\(.)", r"\1", cell.strip())


def test_main_table_has_the_documents_figures_and_the_papers_beside_them() -> None:
    hardening = made_hardening()
    (headings, *rows), *_ = tables(hardening_markdown(hardening))
    assert headings[3:8] == ["Defender's error", "Paper", "Adversary's error, soft", "Paper", "hard"]
    assert len(rows) == len(hardening.victim)
    for row, part in zip(rows, hardening.victim.values(), strict=True):
        own = [part.defender_error, part.adversary_error.soft, part.adversary_error.hard]
        own += [part.disagreement.soft, part.disagreement.hard]
        assert row[0] == part.title
        assert row[2].startswith(f"{part.l1.value:.3f} [")
        assert [row[place] for place in (3, 5, 7, 8, 9)] == list(map(rate, own))
        paper = part.paper
        expected = ["–", "–"] if paper is None else [percent(paper.defender_error), percent(paper.adversary_error)]
        assert [row[4], row[6]] == expected


def test_second_table_has_what_the_defences_do() -> None:
    hardening = made_hardening()
    _, (headings, *rows), *_ = tables(hardening_markdown(hardening))
    assert headings[1] == "l1 on the queries"
    for row, (name, part) in zip(rows, hardening.victim.items(), strict=True):
        assert row[1].startswith(f"{part.l1_queries.value:.3f} [")
        assert row[2] == rate(part.changed)
        assert row[3].startswith(f"{part.divergence.value:.4f} [")
        assert row[4] == percent(part.calibration_error)
        assert row[7] == percent(part.best_epoch.soft.error)
        assert row[9] == ("–" if hardening.times[name].defence_milliseconds is None else "0.051")


@pytest.mark.parametrize(("target", "tables_"), [("mobile", "table V"), ("server", "tables III and IV")])
def test_says_which_of_the_papers_tables_is_of_the_target(target: str, tables_: str) -> None:
    text = hardening_markdown(made_hardening().replace(target=target))
    assert f"those of {tables_} of arXiv:2512.23948, for a ResNet-18 victim of target {target} and" in text


def test_alphas_are_a_table_of_their_own() -> None:
    hardening = made_hardening()
    *_, (_, *rows) = tables(hardening_markdown(hardening))
    expected = [[f"{one.alpha:g}", f"{one.l1:.3f}", f"{one.divergence:.4f}"] for one in hardening.alphas]
    assert [row[:3] for row in rows] == expected
    assert [row[4] for row in rows] == [rate(one.adversary_error) for one in hardening.alphas]


@pytest.mark.parametrize("paper", [False, True])
def test_what_is_not_known_leaves_no_trace(paper: bool) -> None:
    text = hardening_markdown(made_hardening(paper=paper, search=False, alphas=False, sweeps=False))
    assert ("Paper" in text) is paper
    assert ("2512.23948" in text) is paper
    assert "Theory" not in text
    assert len(tables(text)) == 2
    assert "None" not in text
    assert "two plain QAT models" in text


def test_text_of_the_document_ends_no_cell_and_is_no_markup() -> None:
    hardening = made_hardening(data="a|b\n<b>c</b> *d* [e](f) `g`")
    part = hardening.victim["qat"].replace(title="x | y\n| z <script>")
    text = hardening_markdown(hardening.replace(victim={**hardening.victim, "qat": part}))
    (headings, *rows), *_ = tables(text)
    assert all(len(row) == len(headings) for row in rows)
    assert rows[2][0] == "x | y | z &lt;script&gt;"
    assert "<" not in text
    assert r"a\|b &lt;b&gt;c&lt;/b&gt; \*d\* \[e\](f) \`g\`" in text


@pytest.mark.parametrize("stolen", [False, True])
def test_sweeps_have_a_table_for_each_defence(stolen: bool) -> None:
    swept = made_defending(stolen=stolen)
    text = defending_markdown(swept)
    found = tables(text)
    assert len(found) == 2
    for (headings, *rows), points in zip(found, swept.sweeps.values(), strict=True):
        assert ("Adversary's error" in headings) is stolen
        assert [row[1] for row in rows] == [f"{point.l1:.3f}" for point in points]
        assert [row[2] for row in rows] == [percent(point.error) for point in points]
        if stolen:
            assert [row[6] for row in rows] == [rate(point.adversary_error) for point in points]
    assert "The strongest within l1 0.6: reverse-sigmoid, beta 0.1235." in text
    assert "label-only: no strength stays within l1 0.6." in text
