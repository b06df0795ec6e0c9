"""A study's page: all tables and pictures, nothing loaded, and no text of the result markup."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from made_audit import HOSTILE
from made_study import FAILED, made_diva, made_divqat, made_study
from PIL import Image
from report_page import Page, plain, study_html

from edgerift.facts import facts
from edgerift.report import StudyTable, records_csv, study_markdown, study_tables, table_csv, table_latex, write_study
from edgerift.report.study._markdown import table_markdown
from edgerift.report.tables._table import cell_words
from edgerift.study import MissingCell, StudyResult

WORDS = {
    "training": "It learns.",
    "success": "It is evaded.",
    "pca-cifar10-resnet-ptq": "Points of PTQ.",
    "pca-cifar10-resnet-qat": "Points of QAT.",
    "attacked-cifar10-resnet-qat": "Images.",
    "tradeoff": "It costs.",
    "alpha": "It bends.",
}


def draw(folder: Path, words: Mapping[str, str] = WORDS) -> None:
    """Put small pictures in the place of the figures, each of another size."""
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(words):
        Image.new("RGB", (30 + number, 20)).save(folder / f"{name}.png")


def render(folder: Path, result: StudyResult, words: Mapping[str, str] = WORDS) -> tuple[str, Page]:
    draw(folder, words)
    page = study_html(result, folder, words)
    return page, Page(page)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyResult, str, Page]:
    result = made_study()
    return (result, *render(tmp_path_factory.mktemp("figures"), result))


def test_every_cell_of_every_table_is_there(both: tuple[StudyResult, str, Page]) -> None:
    result, _, page = both
    assert not page.open
    for table in study_tables(facts(result)):
        rows = page.table(table)
        assert len(rows) == len(table.rows)
        for written, row in zip(rows, table.rows, strict=True):
            expected = [plain(cell_words(cell)) for cell in row]
            assert [cell.replace("(", "").replace(")", "") for cell in written] == [
                cell.replace("(", "").replace(")", "") for cell in expected
            ]
        assert plain(" ".join(table.caption.split())) in page.text


def test_headings_stand_above_their_columns(both: tuple[StudyResult, str, Page]) -> None:
    result, _, page = both
    for table in study_tables(facts(result)):
        spans = sum(int(one.get("colspan", "1")) for one in heads(page, table))
        assert spans == len(table.headings)
        names = {heading.name for heading in table.headings} | {heading.group for heading in table.headings}
        written = {" ".join(cell.split()) for row in page.cells[table.name][: 1 + table.has_groups] for cell in row}
        assert written == names - {""}


def heads(page: Page, table: StudyTable) -> list[dict[str, str]]:
    """List the cells of a table's first row of headings."""
    start = next(
        place for place, (tag, fields) in enumerate(page.tags) if tag == "section" and fields["id"] == table.name
    )
    rows = [place for place, (tag, _) in enumerate(page.tags) if tag == "tr" and place > start][:2]
    return [fields for tag, fields in page.tags[rows[0] : rows[1]] if tag == "th"]


def test_missing_cells_stand_at_the_top(both: tuple[StudyResult, str, Page]) -> None:
    _, text, page = both
    assert "43 of 48 cells have a result" in page.text
    assert f"cifar10, ResNet, qat, seed 2: {FAILED}" in page.text
    assert text.index("seed 2: RuntimeError") < text.index("<table")
    assert "Student's t" in page.text


def test_many_missing_cells_are_folded(tmp_path: Path) -> None:
    lost = tuple(MissingCell(name=f"cell {number}", error=None) for number in range(30))
    _, page = render(tmp_path, made_diva().replace(missing=lost))
    assert "18 more" in page.text
    assert "cell 29: not run to its end yet" in page.text
    _, whole = render(tmp_path, made_diva(missing=False))
    assert "Without a result" not in whole.text
    assert "All 36 cells have a result." in whole.text


def test_pictures_stand_with_their_tables(both: tuple[StudyResult, str, Page], tmp_path: Path) -> None:
    _, text, page = both
    draw(tmp_path)
    embedded = [base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) for image in page.all("img")]
    assert sorted(embedded) == sorted((tmp_path / f"{name}.png").read_bytes() for name in WORDS)
    assert {image["alt"] for image in page.all("img")} == set(WORDS.values())
    order = ['id="accuracy"', "It learns.", 'id="success"', "It is evaded.", 'id="pca"', "Points of PTQ.", "Images."]
    order += ['id="instability"', 'id="victims"', "It costs.", 'id="joint-defences"', 'id="alphas"', "It bends."]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "1 more of these" in page.text
    assert text.index("1 more of these") < text.index("Points of QAT.")


def test_picture_that_is_missing_is_said_so(tmp_path: Path) -> None:
    draw(tmp_path)
    (tmp_path / "tradeoff.png").unlink()
    (tmp_path / "alpha.png").write_bytes(b"cut")
    page = Page(study_html(made_divqat(), tmp_path, {"tradeoff": "Costs.", "alpha": "Bends."}))
    assert "tradeoff.png is missing. Costs." in page.text
    assert "alpha.png is missing. Bends." in page.text
    assert not page.all("img")


def test_contents_lead_to_sections(both: tuple[StudyResult, str, Page], tmp_path: Path) -> None:
    for page in (both[2], render(tmp_path, made_divqat(), {})[1], render(tmp_path, made_diva(), {})[1]):
        sections = [one["id"] for one in page.all("section")]
        assert len(set(sections)) == len(sections)
        links = {one["href"] for one in page.all("a")}
        assert links == {f"#{section}" for section in (*sections, "main")}


def test_says_what_was_studied(both: tuple[StudyResult, str, Page]) -> None:
    result, text, page = both
    for said in (
        "ResNet = resnet8, MobileNet = resnet8",
        "diva, 8 grey levels, 20 sign steps of 1, clean start",
        "ptq, qat, finetune; builds for target mobile",
        "l1 0.6 from the plain QAT model and a loss of 5 points of accuracy",
        "50,000 queries per clone",
    ):
        assert said in page.text
    (document,) = re.findall(r"<pre[^>]*><code>(.*?)</code>", text, re.DOTALL)
    unescaped = document.replace("&#34;", '"').replace("&#39;", "'").replace("&lt;", "<").replace("&gt;", ">")
    assert json.loads(unescaped.replace("&amp;", "&")) == result.study.model_dump(mode="json")


def test_loads_nothing_and_allows_only_its_own_style_and_script(both: tuple[StudyResult, str, Page]) -> None:
    _, text, page = both
    (policy,) = [one["content"] for one in page.all("meta") if one.get("http-equiv")]
    for tag, source in (("style", "style-src"), ("script", "script-src")):
        (inner,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{source} 'sha256-{digest}'" in policy
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", text)
    assert "url(" not in text
    assert all("style" not in attributes for _, attributes in page.tags)


def test_text_of_the_result_is_no_markup(tmp_path: Path) -> None:
    name, plain_page = '<b>"&x', render(tmp_path, made_diva(("data",), ("net",)), {"training": "x"})[1]
    result = made_diva((name,), (name,), title=name)
    lost = (MissingCell(name=HOSTILE, error=HOSTILE), *result.missing[1:])
    text, page = render(tmp_path, result.replace(missing=lost), {"training": HOSTILE})
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain_page.tags]
    for bare in ("<b>", "alert(\"x\")</script>", "\x1b", "\u202e"):  # fmt: skip
        assert bare not in text
    assert '<b>"&x' in page.text


def test_writes_a_whole_folder(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    result = made_divqat(("gtsrb",), seeds=(0,), targets=("mobile",), missing=False, students=False, alphas=False)
    write_study(result, folder)
    assert StudyResult.model_validate_json((folder / "result.json").read_text()) == result
    assert (folder / "result.json").read_text() == result.model_dump_json(indent=2) + "\n"
    names = [table.name for table in study_tables(facts(result))]
    for table in study_tables(facts(result)):
        for ending, writer in (("md", table_markdown), ("csv", table_csv), ("tex", table_latex)):
            assert (folder / "tables" / f"{table.name}.{ending}").read_bytes().decode() == writer(table)
    told = dict.fromkeys((path.stem for path in (folder / "figures").glob("*.png")), "")
    written = (folder / "tables.md").read_text(encoding="utf-8")
    assert written.partition("## Figures")[0] == study_markdown(result, told).partition("## Figures")[0]
    assert told
    assert all((f"](figures/{name}.png)" in written) == ("-" not in name) for name in told)
    assert "Made by <code>edgerift study run studies/made-divqat.yaml --profile small</code>" in (
        (folder / "report.html").read_text(encoding="utf-8")
    )
    assert (folder / "records.csv").read_bytes().decode() == records_csv(facts(result))
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    expected = {f"tables/{name}.{ending}" for name in names for ending in ("md", "csv", "tex")}
    expected |= {"result.json", "records.csv", "tables.md", "report.html", "tables/.written", "figures/.written"}
    pictures = written - expected
    assert expected <= written
    assert pictures
    assert all(re.fullmatch(r"figures/[a-z0-9-]+\.png", name) for name in pictures)
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert len(page.all("img")) == len(pictures)
    before = {name: (folder / name).read_bytes() for name in written}
    write_study(result, folder)
    assert {name: (folder / name).read_bytes() for name in written} == before


def test_pictures_of_an_earlier_result_are_not_shown(tmp_path: Path) -> None:
    draw(tmp_path)
    page = Page(study_html(made_divqat(), tmp_path, {"alpha": "Bends."}))
    assert [image["alt"] for image in page.all("img")] == ["Bends."]
