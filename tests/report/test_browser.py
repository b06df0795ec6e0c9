"""The report in a real browser: no complaint, no request, and room for it on a desktop and on a phone."""

from dataclasses import dataclass
from pathlib import Path

import chromium
import numpy as np
import pytest
from made_audit import DIGITS, change_evasion, made_audit
from PIL import Image

from edgerift.report import audit_html

pytestmark = pytest.mark.slow

GROUNDS = {"light": "rgb(251, 251, 249)", "dark": "rgb(15, 17, 19)"}


@dataclass(frozen=True)
class Case:
    verdict: str
    findings: int
    classes: tuple[str, ...] = DIGITS


CASES = {
    "found": Case("fail", 40),
    "nothing": Case("pass", 0),
    "long": Case("fail", 30, tuple(f"{number}{'x' * 90} and more words" for number in range(25))),
}


@pytest.fixture(scope="module", params=CASES)
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, case = tmp_path_factory.mktemp(request.param), CASES[request.param]
    audit = made_audit(folder, findings=case.findings, verdict=case.verdict, classes=case.classes)
    long = {"x" * 90: audit.evasion.attacks["pgd"]} if request.param == "long" else {}
    audit = change_evasion(audit, attacks={**audit.evasion.attacks, **long})
    file = folder / "report.html"
    file.write_text(audit_html(audit, folder), encoding="utf-8")
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_opens_without_complaint_or_request(
    browser: chromium.Page, report: Path, tmp_path: Path, width: int, scheme: str
) -> None:
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
    browser.picture(tmp_path / "report.png", height=900)
    assert len(np.unique(np.asarray(Image.open(tmp_path / "report.png")).reshape(-1, 3), axis=0)) > 20


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("left_out", ["evasion", "theft"])
def test_a_page_about_one_threat_opens_as_well(
    browser: chromium.Page, tmp_path: Path, width: int, left_out: str
) -> None:
    file = tmp_path / "report.html"
    file.write_text(audit_html(made_audit(tmp_path).replace(**{left_out: None}), tmp_path), encoding="utf-8")
    browser.complaints.clear()
    browser.open(file, width=width)
    browser.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert browser.complaints == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    places = "[...document.querySelectorAll('.contents a')].every(one => document.querySelector(one.hash))"
    assert browser.evaluate(places)


def test_prints_without_a_cut(browser: chromium.Page, report: Path) -> None:
    browser.open(report, width=695, scheme="dark")  # A4 without its margins, in CSS pixels.
    browser.evaluate("document.querySelector('.theme').click(); document.querySelector('.theme').click()")
    browser.call("Emulation.setEmulatedMedia", media="print")
    try:
        assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert browser.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
        cut = "[...document.querySelectorAll('table, pre, figure')].filter(one => one.checkVisibility())"
        assert browser.evaluate(f"Math.max(...{cut}.map(one => one.getBoundingClientRect().right))") <= 696
        scrolled = "[...document.querySelectorAll('.scroll, pre')].map(one => getComputedStyle(one).overflowX)"
        assert set(browser.evaluate(scrolled)) == {"visible"}
    finally:
        browser.call("Emulation.setEmulatedMedia", media="")


def test_policy_stops_what_it_should(browser: chromium.Page, report: Path) -> None:
    browser.open(report, width=1280)
    browser.requests.clear()
    browser.evaluate("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))")
    browser.evaluate("new Promise(done => setTimeout(done, 200))")
    assert any("Content Security Policy" in complaint for complaint in browser.complaints)
    browser.complaints.clear()


def test_colours_switch(browser: chromium.Page, report: Path) -> None:
    browser.open(report, width=1280, scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    seen = [browser.evaluate(ground)]
    for _ in range(2):
        browser.evaluate("document.querySelector('.theme').click()")
        seen.append(browser.evaluate(ground))
    assert seen == [GROUNDS["light"], GROUNDS["dark"], GROUNDS["light"]]


def test_marks_of_the_features_switch_off(browser: chromium.Page, report: Path) -> None:
    browser.open(report, width=1280)
    visibility = "getComputedStyle(document.querySelector('.panel > .scatter .build.attacked')).visibility"
    assert browser.evaluate(visibility) == "visible"
    browser.evaluate("document.querySelector('.on-build-attacked').click()")
    assert browser.evaluate(visibility) == "hidden"


def test_findings_unfold(browser: chromium.Page, report: Path) -> None:
    browser.open(report, width=390)
    shown = "[...document.querySelectorAll('.finding')].filter(one => one.checkVisibility()).length"
    total = browser.evaluate("document.querySelectorAll('.finding').length")
    assert browser.evaluate(shown) == min(24, total)
    browser.evaluate("document.querySelector('#findings details > summary')?.click()")
    assert browser.evaluate(shown) == total
