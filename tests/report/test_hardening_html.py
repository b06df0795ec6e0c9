"""The comparison as a page: what it says, that it loads nothing, and that no text of the document becomes markup."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_audit import HOSTILE
from made_hardening import TITLES, made_hardening
from PIL import Image

from edgerift.harden import Hardening
from edgerift.report import hardening_html, write_hardening
from edgerift.report.shared._words import bounds, percent

PICTURES = ("tradeoff.png", "alpha.png", "reliability.png", "sweep.png")
VOID = {"br", "img", "link", "meta", "path", "circle"}


class Page(HTMLParser):
    """Reads a page: its tags, its text and its tables, and whether tags close in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("style", "script"):
            return
        self.words.append(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += f"{data} "

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).replace("\N{NO-BREAK SPACE}", " ").split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def row(self, title: str) -> list[str]:
        """Give the first row that starts with a title, a cell's words separated by single spaces."""
        rows = ([" ".join(cell.split()) for cell in row] for row in self.rows)
        return next(row for row in rows if row and row[0].startswith(title))


def draw(folder: Path) -> None:
    """Put small pictures in the place of the charts, each of another size."""
    for number, name in enumerate(PICTURES):
        Image.new("RGB", (30 + number, 20)).save(folder / name)


def render(folder: Path, **options: object) -> tuple[Hardening, str, Page]:
    hardening = made_hardening(**options)
    draw(folder)
    page = hardening_html(hardening, folder)
    return hardening, page, Page(page)


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_rows_have_the_documents_figures_and_the_papers(tmp_path: Path) -> None:
    hardening, _, page = render(tmp_path, names=tuple(TITLES))
    assert not page.open
    for part in hardening.victim.values():
        found = page.row(part.title)
        own = [part.defender_error, part.adversary_error.soft, part.adversary_error.hard]
        own += [part.disagreement.soft, part.disagreement.hard]
        written = [plain(f"{percent(one.value)} {bounds(one)}") for one in own]
        assert [found[place] for place in (2, 4, 6, 7, 8)] == written
        assert found[1].startswith(f"{part.l1.value:.3f} [")
        paper = part.paper
        expected = ["–", "–"] if paper is None else [percent(paper.defender_error), percent(paper.adversary_error)]
        assert [found[3], found[5]] == list(map(plain, expected))


def test_says_how_it_was_measured(tmp_path: Path) -> None:
    _, _, page = render(tmp_path)
    for said in (
        "Undefended, the clones are good.",
        "DivQAT: it hinders both attackers.",
        "each made 2,000 queries from digits collages, of a budget of 2,500",
        "l1 0.6 from the QAT build and a loss of 5 points of accuracy",
        "l1 0.006 apart on the test images and 0.026 on the queries",
        "one clone with one seed: a difference of a point or two is within seed-to-seed variation",
        "appears at alpha 0.071 and flips the label at 0.113",
        "2512.23948",
    ):
        assert said in page.text


def test_loads_nothing_and_allows_only_its_own_style_and_script(tmp_path: Path) -> None:
    _, text, page = render(tmp_path)
    (policy,) = [one["content"] for one in page.all("meta") if one.get("http-equiv")]
    for tag, source in (("style", "style-src"), ("script", "script-src")):
        (inner,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{source} 'sha256-{digest}'" in policy
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", text)
    assert "url(" not in text
    assert all("style" not in attributes for _, attributes in page.tags)


def test_embeds_the_pictures_and_says_what_they_show(tmp_path: Path) -> None:
    hardening, _, page = render(tmp_path)
    images = page.all("img")
    embedded = [base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) for image in images]
    assert embedded == [(tmp_path / name).read_bytes() for name in PICTURES]
    assert [(image["width"], image["height"]) for image in images] == [(f"{30 + number}", "20") for number in range(4)]
    divqat = hardening.victim["divqat"]
    assert f"DivQAT: l1 {divqat.l1.value:.3f}" in images[0]["alt"]
    assert percent(divqat.adversary_error.hard.value) in images[0]["alt"]
    assert "alpha 1.125 l1 0.116" in images[1]["alt"]
    trial = next(one for one in hardening.searches["divqat"].trials if one.strength == 1.125)
    said = f"accuracy {percent(trial.accuracy)} changed labels {percent(trial.changed)}"
    assert said in images[1]["alt"]
    assert f"DivQAT {percent(divqat.calibration_error)}" in images[2]["alt"]
    assert "deception: from l1 0.000" in images[3]["alt"]


def test_picture_that_is_missing_is_said_so(tmp_path: Path) -> None:
    hardening = made_hardening()
    draw(tmp_path)
    (tmp_path / "sweep.png").unlink()
    (tmp_path / "alpha.png").write_bytes(b"cut")
    page = Page(hardening_html(hardening, tmp_path))
    assert len(page.all("img")) == 2
    assert "sweep.png is missing." in page.text
    assert "alpha.png is missing." in page.text


@pytest.mark.parametrize("paper", [False, True])
def test_what_is_not_known_has_no_section(tmp_path: Path, paper: bool) -> None:
    _, _, page = render(tmp_path, paper=paper, search=False, alphas=False, sweeps=False)
    assert not page.open
    sections = {one["id"] for one in page.all("section")}
    assert sections == {"verdict", "victims", "tradeoff", "calibration", "measured", "reproduce"}
    links = {one["href"] for one in page.all("a")}
    assert links == {f"#{section}" for section in (*sections, "main")}
    assert ("2512.23948" in page.text) is paper
    assert "None" not in page.text
    assert len({len(row) for row in page.rows if row and row[0].strip() in TITLES.values()}) <= 2


def test_only_alphas_of_its_own_are_shown(tmp_path: Path) -> None:
    _, _, page = render(tmp_path, search=False)
    assert "Theory" not in page.text
    assert "Results of the alphas that were attacked" in page.text
    assert "digits, alpha 0.3: defender's error" in page.all("img")[1]["alt"]


def test_text_of_the_document_is_no_markup(tmp_path: Path) -> None:
    hardening = made_hardening(data=HOSTILE).replace(verdict=f"{HOSTILE}\n{HOSTILE}: x", model=HOSTILE)
    part = hardening.victim["qat"].replace(title=HOSTILE)
    hardening = hardening.replace(victim={**hardening.victim, "qat": part})
    text = hardening_html(hardening, tmp_path)
    page = Page(text)
    assert text.count("<script") == 1
    assert not {"\x1b", "\u202e"} & set(text)
    assert page.text.count('<script>alert("x")</script>') >= 5


def test_writes_everything(tmp_path: Path) -> None:
    hardening = made_hardening(("qat", "divqat"))
    write_hardening(hardening, tmp_path)
    names = {"harden.json", "table.md", "report.html", *PICTURES}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert Hardening.model_validate_json((tmp_path / "harden.json").read_bytes()) == hardening
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == hardening_html(hardening, tmp_path)
