"""A study's page in a real browser: no complaint, no request, and room for it on a desktop and on a phone."""

from pathlib import Path

import chromium
import pytest
from made_study import made_diva, made_study
from report_page import study_html

from edgerift.facts import facts
from edgerift.report import study_charts

pytestmark = pytest.mark.slow

GROUNDS = {"light": "rgb(251, 251, 249)", "dark": "rgb(15, 17, 19)"}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, result = tmp_path_factory.mktemp("study"), made_study()
    file = folder / "report.html"
    words = study_charts(facts(result), lambda name, data: (folder / name).write_bytes(data))
    file.write_text(study_html(result, folder, words), encoding="utf-8")
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_opens_without_complaint_or_request(browser: chromium.Page, report: Path, width: int, scheme: str) -> None:
    browser.requests.clear()
    browser.complaints.clear()
    browser.open(report, width=width, scheme=scheme)
    browser.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    browser.evaluate("Promise.all([...document.images].map(image => image.decode()))")
    assert browser.complaints == []
    fetched = [address for address in browser.requests if not address.startswith("data:")]
    assert fetched == [report.resolve().as_uri()]
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == GROUNDS[scheme]
    assert browser.evaluate("[...document.images].every(image => image.naturalWidth > 0)")


@pytest.mark.parametrize("width", [1280, 390])
def test_wide_tables_scroll_and_keep_what_a_row_is_about(browser: chromium.Page, report: Path, width: int) -> None:
    browser.open(report, width=width)
    box = "document.querySelector('#victims .scroll')"
    assert browser.evaluate(f"{box}.scrollWidth > {box}.clientWidth")
    browser.evaluate(f"{box}.scrollLeft = 300")
    name = "document.querySelector('#victims tbody th.own')"
    assert browser.evaluate(f"{name}.getBoundingClientRect().left >= {box}.getBoundingClientRect().left - 1")


def test_photographs_keep_their_colours_in_the_dark(browser: chromium.Page, report: Path) -> None:
    browser.open(report, width=1280, scheme="dark")
    shown = "getComputedStyle(document.querySelector('{} img')).filter"
    assert browser.evaluate(shown.format(".photographs")) == "none"
    assert browser.evaluate(shown.format(".picture:not(.photographs)")) != "none"


@pytest.mark.parametrize("width", [1280, 390])
def test_claims_are_read_without_scrolling(browser: chromium.Page, tmp_path: Path, width: int) -> None:
    file = tmp_path / "report.html"
    file.write_text(study_html(made_diva(), tmp_path, {}), encoding="utf-8")
    browser.open(file, width=width)
    box = "document.querySelector('#claims .scroll')"
    assert browser.evaluate(f"{box}.scrollWidth <= {box}.clientWidth")
    assert browser.evaluate("[...document.querySelectorAll('#claims tbody :is(th, td)')].every(one => one.offsetWidth)")
