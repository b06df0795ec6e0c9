"""What held of a paper's claims: the same rows on the page, in the Markdown and on the page of results."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_study import made_diva, made_divqat, made_study
from report_page import study_html

from edgerift.facts import Claim, Finding, claims
from edgerift.measure import spread
from edgerift.report import results_markdown, study_markdown
from edgerift.report.study._claims import ClaimRow, claim_row, claim_rows, claims_words
from edgerift.study import StudyResult

ONE_SEED = made_divqat(("gtsrb",), seeds=(0,), missing=False)


def made(verdict: str, *values: float, unit: str = "points") -> Claim:
    finding = Finding(where="all", difference=spread(values), verdict=verdict) if values else None
    return Claim(
        name="made", statement="It does.", published="+1", measured="one minus the other", unit=unit, bound=0.0,
        together=finding, findings=(),
    )  # fmt: skip


def page_rows(page: str) -> list[list[str]]:
    """Read the claims' table of a page."""
    start = page.index('<section id="claims"')
    reader = Cells()
    reader.feed(page[start : page.index("</section>", start)])
    return reader.rows


class Cells(HTMLParser):
    """Reads the rows of a table, the words of a cell separated by single spaces."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.rows[-1][-1] = f"{self.rows[-1][-1]} {data}".strip()


@pytest.mark.parametrize(
    ("claim", "here", "verdict"),
    [
        (made("held", 1.0, 2.0, 3.0), "+2.0 points [−0.5, +4.5]", "held"),
        (made("not resolved", -2.04), "−2.0 points", "not resolved"),
        (made("no effect", 0.01, -0.01), "0.0 points [−0.1, +0.1]", "no effect"),
        (made("held", 0.61, 1.0, 1.39), "+1.00 points [+0.03, +1.97]", "held"),
        (made("held", 10.0, 12.0, unit="percent"), "+11.0 % [−1.7, +23.7]", "held"),
        (made("did not hold", 0.25, 0.25, unit="nats"), "+0.250 nats", "did not hold"),
        (made("not resolved", -0.0213, unit="l1"), "−0.021 l1", "not resolved"),
        (made(""), "–", "not measured"),
    ],
)
def test_a_difference_has_its_sign_its_unit_and_its_interval(claim: Claim, here: str, verdict: str) -> None:
    cells = claim_row(claim).cells()
    assert (cells[2].replace("\N{NO-BREAK SPACE}", " "), cells[3]) == (here, verdict)


@pytest.mark.parametrize("make", [made_diva, made_divqat, lambda: ONE_SEED])
def test_page_and_markdown_have_every_claim_above_the_tables(make: object, tmp_path: Path) -> None:
    result: StudyResult = make()  # type: ignore[operator]
    rows, judged = claim_rows(result), claims(result)
    assert [(row.statement, row.verdict) for row in rows] == [(claim.statement, claim.verdict) for claim in judged]
    page = study_html(result, tmp_path, {})
    shown = page_rows(page)
    assert shown == [
        ["Claim", "The paper", "Here", "Verdict", "Holds individually in"],
        *(list(row.cells()) for row in rows),
    ]
    assert page.index('id="claims"') < page.index('<p class="place">')
    assert '<a href="#claims">' in page
    text = study_markdown(result)
    assert text.index("## The paper's claims") < text.index("| Claim |") < text.index("### ")
    for row in rows:
        assert f"| {row.statement} | " in text
        assert f" | {row.verdict} | {row.alone} |" in text


@pytest.mark.parametrize(
    "result",
    [made_study(), made_diva().replace(pairs=()), made_divqat(paper=None)],
    ids=["two papers", "nothing measured", "no paper"],
)
def test_no_claims_no_table(result: StudyResult, tmp_path: Path) -> None:
    assert claim_rows(result) == []
    assert "claims" not in study_html(result, tmp_path, {}).partition("<body>")[2]
    assert "claims" not in study_markdown(result)


def test_one_value_of_each_resolves_nothing_and_is_said_so() -> None:
    rows = claim_rows(ONE_SEED)
    assert {row.verdict for row in rows} == {"not resolved", "not measured"}
    assert claims_words(rows) == (
        "Differences are between models of the same seed. There is one value of each, which has no interval: it "
        "resolves no claim."
    )
    assert all(row.ends == "" for row in rows)


def place(verdict: str, *values: float) -> Finding:
    return Finding(where="here", difference=spread(values), verdict=verdict)


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        ((), "–"),
        ((place("held", 1.0, 1.1), place("did not hold", -1.0, -1.1), place("held", 2.0, 2.1)), "2 of 3"),
        ((place("not resolved", 1.0), place("held", 1.0, 1.1)), "1 of 2"),
        ((place("not resolved", 1.0), place("not resolved", 2.0)), "0 of 2 (one seed each)"),
    ],
)
def test_places_where_a_claim_held_by_itself_are_counted(findings: tuple[Finding, ...], said: str) -> None:
    assert claim_row(made("held", 1.0, 2.0).replace(findings=findings)).alone == said


def test_the_first_row_of_several_places_says_that_it_is_over_their_means() -> None:
    text = results_markdown([made_diva()], ["studies/one"])
    assert "mean of these values (Student's t, one degree of freedom less than there are values)" in text
    assert "counts as one value" not in text
    several = [claim for claim in claims(made_diva()) if len(claim.findings) > 1]
    firsts = [line for line in text.splitlines() if line.startswith("| all |")]
    assert several
    assert len(firsts) == len(several)
    for line, claim in zip(firsts, several, strict=True):
        assert f"| the {len(claim.findings)} means below |" in line
    assert "Made by `edgerift study run studies/made-diva.yaml --profile small`." in text
    (line,) = [line for line in text.splitlines() if line.startswith("| Attacked images of one class stand")]
    # A result of before does not keep which point was taken for which class.
    assert "| figure 11, by eye |" in line
    assert "**not measured**" in line
    assert "Not judged" not in results_markdown([ONE_SEED], ["studies/two"])


def test_the_verdicts_that_there_are_are_explained() -> None:
    rows = [claim_row(made("held", 1.0, 1.1)), claim_row(made(""))]
    words = claims_words(rows)
    assert "Held: the interval lies on the claim's side" in words
    assert "not measured: a figure of it is missing." in words
    assert "not resolved" not in words
    assert "no effect" not in words
    everything = [ClaimRow("", "", rows[0].here, "", verdict, "") for verdict in VERDICTS]
    assert all(verdict in claims_words(everything).casefold() for verdict in VERDICTS)


VERDICTS = ("held", "did not hold", "no effect", "not resolved", "not measured")


def test_the_page_of_results_has_every_claim_and_every_finding() -> None:
    results = [made_diva(), ONE_SEED]
    text = results_markdown(results, ["studies/one", "studies/two"])
    assert "](studies/one/report.html)" in text
    assert "](studies/two/tables.md)" in text
    lines = text.replace("\N{NO-BREAK SPACE}", " ").splitlines()
    for result in results:
        for claim in claims(result):
            *cells, verdict, alone = (cell.replace("\N{NO-BREAK SPACE}", " ") for cell in claim_row(claim).cells())
            assert f"| {' | '.join(cells)} | **{verdict}** | {alone} |" in lines
            for finding in claim.findings:
                (line,) = (
                    line
                    for line in lines[lines.index(f"### {claim.statement}") :][:12]
                    if line.startswith(f"| {finding.where} |")
                )
                assert line.endswith(f"| {finding.verdict} |")
                assert line.count(",") >= len(finding.difference.values) - 1
                assert ("(one seed)" in line) == (len(finding.difference.values) == 1)
