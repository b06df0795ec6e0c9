"""The HTML report: what it says, that it loads nothing, and that no text of the audit becomes markup."""

import base64
import hashlib
import io
import re
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from made_audit import DIGITS, HOSTILE, change_evasion, made_audit, made_verification, theft
from PIL import Image

from edgerift.audit import Audit
from edgerift.errors import RecipeError
from edgerift.report import audit_html
from edgerift.report.audit._html_charts import count_axis, curve_chart, interval_chart, share_axis, thieves_chart
from edgerift.report.audit._html_images import amplified
from edgerift.report.audit._html_scatter import scatter

EVASION = ["attacks", "findings", "classes", "comparisons", "cause", "layers", "features", "fidelity"]
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}


class Document(HTMLParser):
    """Reads a page: every tag with its attributes, all text, and whether tags close in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def render(folder: Path, **options: object) -> tuple[Audit, str, Document]:
    audit = made_audit(folder, **options)
    page = audit_html(audit, folder)
    return audit, page, Document(page)


@pytest.mark.parametrize(
    ("verdict", "heading", "failed"), [("fail", "The gate fails", 2), ("pass", "The gate holds", 0)]
)
def test_verdict_and_gate_come_first(tmp_path: Path, verdict: str, heading: str, failed: int) -> None:
    _, _, document = render(tmp_path, findings=3 if verdict == "fail" else 0, verdict=verdict)
    assert not document.open
    main = document.text.split("Checks Reproduce", 1)[1]
    gate = main.split("images that both models classify correctly", 1)[0]
    assert gate.index(heading) < gate.index("Measured") < gate.index("Upper confidence bound")
    assert gate.count("Fails:") == failed
    assert gate.count("Holds:") == 4 - failed
    assert document.text.startswith(verdict.capitalize())


def test_what_was_not_drawn_is_told_apart_from_what_cannot_be_evaded(tmp_path: Path) -> None:
    audit = made_audit(tmp_path)
    for attacked in (350, 100):
        text = Document(audit_html(change_evasion(audit, attacked=attacked), tmp_path)).text
        assert "50 of 400 test images cannot be evaded" in text
        assert f"of the other 350, {attacked} were attacked" in text


def test_the_files_of_other_tools_are_named(tmp_path: Path) -> None:
    audit = made_audit(tmp_path)
    files = {"target": None, "provenance": None, "program_sha256": None, "gradients": "file"}
    given = audit.replace(pair=audit.pair.replace(model="onnx", **files))
    named = given.replace(pair=given.pair.replace(original_file="float.onnx", build_file="int8.onnx"))
    assert "float.onnx on digits, int8.onnx of another tool on " in Document(audit_html(named, tmp_path)).text
    assert "onnx on digits, a build of another tool on " in Document(audit_html(given, tmp_path)).text


def test_figures_are_those_of_the_audit(tmp_path: Path) -> None:
    audit, _, document = render(tmp_path, findings=3)
    text = document.text.replace("\xa0", " ")
    assert "3 of 350 images that both models classify correctly could be perturbed, by at most 8 grey levels" in text
    assert "0.9 % [0.2, 2.5]." in text
    assert "of the other 350, 350 were attacked" in text
    for part in (*audit.flags, *audit.evasion.layers):
        name = part.layer if hasattr(part, "layer") else part.name
        assert name in text.replace(" ", "") or name in text
    assert "p < 0.05" in text
    assert "p = 0.688" in text
    assert audit.pair.fingerprint.sha256 in text
    assert "11.8 %" in text
    assert "the two axes explain 41.2 % and 18.7 % of the variance" in text


def test_shows_every_finding_with_its_replay(tmp_path: Path) -> None:
    audit, _, document = render(tmp_path, findings=30)
    for finding in audit.evasion.findings:
        assert f"edgerift replay findings/{finding.id}.json" in document.text
    assert "Show all 30 findings" in document.text
    assert sum(one.get("class") == "finding" for one in document.all("li")) == 30
    assert len(document.all("img")) == 90
    assert all(image["alt"] for image in document.all("img"))


def test_the_surest_wrong_answers_come_first(tmp_path: Path) -> None:
    audit, _, document = render(tmp_path, findings=30)
    ordered = sorted(audit.evasion.findings, key=lambda one: -one.build_probability)
    shown = [one["id"] for one in document.all("li") if one.get("class") == "finding"]
    assert shown == [f"finding-{one.id}" for one in ordered]
    other = ordered[0].replace(attack="pgd")
    mixed = audit_html(change_evasion(audit, findings=(other, *ordered[1:])), tmp_path)
    shown = [one["id"] for one in Document(mixed).all("li") if one.get("class") == "finding"]
    assert shown == [f"finding-{one.id}" for one in (*ordered[1:], other)]


def test_says_what_a_finding_at_even_odds_means(tmp_path: Path) -> None:
    audit, _, document = render(tmp_path, findings=30)
    leads = [one.build_probability - one.build_right_probability for one in audit.evasion.findings]
    sure, undecided = sum(lead >= 0.5 for lead in leads), sum(lead < 0.1 for lead in leads)
    text = document.text.replace("\xa0", " ")
    assert re.search(rf"Confident in the wrong class by 50 points and more {sure} findings", text)
    assert re.search(rf"Undecided by less than 10 points {undecided} finding", text)
    assert "At about 50/50 the build is undecided" in text
    unknown = tuple(one.replace(build_right_probability=None) for one in audit.evasion.findings)
    assert "no opinion" not in audit_html(change_evasion(audit, findings=unknown), tmp_path)


def test_names_the_model_the_date_and_the_command(tmp_path: Path) -> None:
    audit, _, document = render(tmp_path)
    text = document.text
    assert "resnet8 on digits, qat for mobile on executorch, 2026-03-01 14:05 UTC" in text
    assert "Written 2026-03-01 14:05:09 UTC" in text
    assert "edgerift audit --adapted release/ --out results/audit" in text
    old = audit.replace(made=None, pair=audit.pair.replace(model=None))
    without = Document(audit_html(old, tmp_path)).text
    assert "digits, qat for mobile on executorch" in without
    assert "2026" not in without
    assert "None" not in without


def test_findings_beyond_the_cap_are_named_without_pictures(tmp_path: Path) -> None:
    audit, _, document = render(tmp_path, findings=203)
    assert len(document.all("img")) == 600
    assert "3 more in the folder" in document.text
    assert all(finding.id in document.text for finding in audit.evasion.findings)


def test_pictures_are_those_of_the_files(tmp_path: Path) -> None:
    audit, _, document = render(tmp_path, findings=1)
    clean, change, attacked = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(image["src"].partition(",")[2]))), dtype=int)
        for image in document.all("img")
    )
    stored = np.asarray(Image.open(tmp_path / audit.evasion.findings[0].attacked_png), dtype=int)
    assert (attacked == stored).all()
    assert (change == np.clip(128 + 15 * (attacked - clean), 0, 255)).all()


def test_clean_and_attacked_are_not_swapped() -> None:
    darker = amplified(np.uint8([[[9, 9, 9]]]), np.uint8([[[4, 9, 250]]]), 15)
    assert darker.tolist() == [[[53, 128, 255]]]


def test_says_when_a_file_is_not_the_evidence(tmp_path: Path) -> None:
    audit = made_audit(tmp_path, findings=3)
    assert "does not hold the pixels" not in audit_html(audit, tmp_path)
    first, second, third = audit.evasion.findings
    (tmp_path / first.attacked_png).unlink()
    (tmp_path / second.attacked_png).write_bytes(b"no image")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / third.attacked_png)
    document = Document(audit_html(audit, tmp_path))
    assert document.text.count("not in the folder") == 4
    assert document.text.count("does not hold the pixels that the audit recorded") == 1


def test_reads_no_file_outside_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    folder.mkdir()
    audit = made_audit(folder, findings=1)
    with pytest.raises(RecipeError, match="it must be the name of a file in the audit's folder"):
        audit.evasion.findings[0].replace(clean_png="../secret.png")
    picture = folder / audit.evasion.findings[0].clean_png
    picture.rename(tmp_path / "secret.png")
    picture.symlink_to(tmp_path / "secret.png")
    document = Document(audit_html(audit, folder))
    assert document.text.count("not in the folder") == 2


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    classes = (HOSTILE, '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "</style></script>", "plain")
    audit, page, document = render(tmp_path, findings=5, classes=classes)
    assert len(document.all("script")) == 1
    assert len(document.all("style")) == 1
    assert {image["alt"] for image in document.all("img")} >= {f"clean image of class {classes[1]}"}
    assert not any(name.startswith("on") for _, attributes in document.tags for name in attributes)
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "\\x1b[31m" in page
    assert "{{ 7 * 7 }}" in document.text
    thieves = {HOSTILE: theft(1, 1, 1).replace(queries=HOSTILE)}
    hostile = change_evasion(
        audit, main_attack=HOSTILE, attacks={**audit.evasion.attacks, HOSTILE: audit.evasion.attacks["default"]}
    ).replace(theft=audit.theft.replace(thieves=thieves, strongest=HOSTILE))
    assert len(Document(audit_html(hostile, tmp_path)).all("script")) == 1


def test_loads_nothing(tmp_path: Path) -> None:
    _, page, document = render(tmp_path, findings=30)
    for tag, attributes in document.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href"):
            allowed = ("data:", "#") if tag in ("a", "img", "link") else ()
            assert name not in attributes or attributes[name].startswith(allowed), (tag, attributes[name][:80])
    assert not re.search(r"url\(|@import|https?://", page)


def test_policy_allows_this_style_and_script_alone(tmp_path: Path) -> None:
    _, page, document = render(tmp_path)
    policy = next(meta["content"] for meta in document.all("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        [content] = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not any("style" in attributes for _, attributes in document.tags)


def test_the_same_audit_gives_the_same_page(tmp_path: Path) -> None:
    audit = made_audit(tmp_path)
    assert audit_html(audit, tmp_path) == audit_html(audit, tmp_path)


def test_renders_what_may_be_missing(tmp_path: Path) -> None:
    audit = made_audit(tmp_path, findings=0, verdict="pass")
    bare = change_evasion(audit, comparisons=(), control=None, flags=(), layers=(), embeddings=())
    bare = bare.replace(gate=(), times={})
    text = Document(audit_html(bare, tmp_path)).text
    assert "None of 350 images" in text
    assert "No evasive image was found." in text
    assert "No control was attacked" in text
    assert "The policy has no rules." in text


def test_the_theft_has_its_section(tmp_path: Path) -> None:
    audit, _, document = render(tmp_path)
    text = document.text.replace("\xa0", " ")
    sentence = (
        "An attacker with 2,000 queries gets a clone that agrees with the build on 98.2 % [96.4, 99.3] of the test"
    )
    assert text.count(sentence) == 2
    section = text.split("The attacker has black-box access to the build", 1)[1]
    assert section.index(
        "a resnet8 trained 15 epochs on probabilities 10.2 % [7.5, 13.6] 4.2 % [2.5, 6.7] 0.8 % epoch 12"
    )
    assert section.index(
        "a resnet8 trained 15 epochs on labels alone 10.2 % [7.5, 13.6] 7.5 % [5.1, 10.5] 2.8 % epoch 12"
    )
    assert "the dashed line is a constant prediction, 10.5 %" in section
    assert "2,000 images of digits collages, of a budget of 2,000" in section
    assert "none: the build returns all class probabilities" in section
    assert audit.theft is not None


def test_tampering_has_its_section(tmp_path: Path) -> None:
    audit = made_audit(tmp_path, findings=1).replace(tampering=made_verification())
    document = Document(audit_html(audit, tmp_path))
    assert not document.open
    sections = [one["id"] for one in document.all("section")]
    assert sections[-3:] == ["tampering", "checks", "reproduce"]
    text = document.text.replace("\xa0", " ")
    assert text.count("1 of 3 checks of the build against its original deviates: rounding.") == 2
    assert "stem[0, 2, 1, 1] is 5, expected 6" in text
    assert "Tampering in catalogues MITRE ATLAS AML.T0010.003" in text


@pytest.mark.parametrize(
    ("left_out", "sections"),
    [
        ("evasion", ["verdict", "theft", "checks", "reproduce"]),
        ("theft", ["verdict", *EVASION, "checks", "reproduce"]),
    ],
)
def test_a_page_about_one_threat_is_whole(tmp_path: Path, left_out: str, sections: list[str]) -> None:
    audit = made_audit(tmp_path, findings=35).replace(**{left_out: None})
    document = Document(audit_html(audit, tmp_path))
    assert not document.open
    assert [one["id"] for one in document.all("section")] == sections
    links = [one["href"] for one in document.all("a") if one["href"] != "#main"]
    assert links == [f"#{name}" for name in sections]
    assert sum(one.get("class") == "outcome" for one in document.all("p")) == 1
    for word in {"evasion": ("evasive", "attacked"), "theft": ("clone", "extraction")}[left_out]:
        body = document.text.split("Checks Reproduce", 1)[1]
        gate, rest = body.split("Limit", 1)[0], body.split("Accuracy of the build", 1)[1]
        assert word not in gate.lower() + rest.lower(), word


def test_the_thieves_are_placed_on_the_axis_beside_chance(tmp_path: Path) -> None:
    part = made_audit(tmp_path).theft
    assert part is not None
    chart = thieves_chart(part)
    assert [row.name for row in chart.rows] == ["soft", "hard"]
    assert [row.value for row in chart.rows] == pytest.approx([100 * 393 / 400, 100 * 381 / 400])
    assert [row.interval.successes for row in chart.rows] == [393, 381]
    assert chart.level == pytest.approx(10.5)
    low = thieves_chart(part.replace(thieves={"soft": theft(399, 399, 399)}, strongest="soft"))
    assert low.level is not None
    assert low.level <= 100


def test_many_classes_fold_away(tmp_path: Path) -> None:
    classes = tuple(f"sign {number}" for number in range(43))
    _, _, document = render(tmp_path, findings=50, classes=classes)
    assert "Show the other 23 classes" in document.text
    assert "33 other classes" in document.text
    assert all(name in document.text for name in classes)


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize("ground", ["paper", "surface", "sunk", "pass-wash", "fail-wash"])
@pytest.mark.parametrize("ink", ["ink", "soft", "link", "pass", "fail", "warning", "note"])
def test_text_stands_out(ink: str, ground: str, theme: int) -> None:
    """WCAG 2.2 level AA: text needs a contrast of 4.5."""
    assert contrast(colour(ink, theme), colour(ground, theme)) >= 4.5


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize("mark", [*(f"c{number}" for number in range(10)), "cx", "edge"])
def test_marks_stand_out(mark: str, theme: int) -> None:
    """WCAG 2.2 level AA: what a chart is read by needs a contrast of 3."""
    assert contrast(colour(mark, theme), colour("surface", theme)) >= 3


def colour(name: str, theme: int) -> tuple[float, ...]:
    style = resources.files("edgerift.report").joinpath("templates/report.css").read_text()
    found = re.search(rf"--{name}: light-dark\(#(\w{{6}}), #(\w{{6}})\)", style)
    assert found is not None
    return tuple(int(found[theme + 1][place : place + 2], 16) / 255 for place in (0, 2, 4))


def contrast(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    def light(parts: tuple[float, ...]) -> float:
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted((light(first), light(second)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("largest", [0.0, 1e-5, 0.0105, 0.031, 0.05, 0.2, 0.5001, 0.97, 1.0])
def test_axis_of_shares_holds_the_largest(largest: float) -> None:
    limit, ticks = share_axis([largest])
    assert largest <= limit <= max(2.5 * largest, 0.0002) + 1e-9
    assert limit <= 1 + 1e-9
    assert 2 <= len(ticks) <= 6
    assert ticks[0].place == 0
    assert ticks[-1].place == 100
    assert float(ticks[-1].text) == pytest.approx(100 * limit)


@pytest.mark.parametrize("most", [1, 2, 7, 20, 50, 99, 100, 999, 12345])
def test_axis_of_counts_stays_inside(most: int) -> None:
    ticks = count_axis(most)
    assert 2 <= len(ticks) <= 6
    assert all(0 <= tick.place <= 100 for tick in ticks)
    assert all(float(tick.text) / most * 100 == pytest.approx(tick.place) for tick in ticks)


def test_intervals_are_placed_on_the_axis(tmp_path: Path) -> None:
    one = made_audit(tmp_path, findings=3).pair.build_accuracy
    [row] = interval_chart([("build", 0, one)]).rows
    assert (row.low, row.value, row.high) == pytest.approx((100 * one.low, 100 * one.value, 100 * one.high))


def test_curve_ends_at_its_last_count(tmp_path: Path) -> None:
    audit = made_audit(tmp_path, findings=35)
    main = curve_chart(audit.evasion).curves[0]
    assert main.name == audit.evasion.main_attack
    assert (main.last, main.share) == (35, 0.1)
    assert (main.end_x, main.end_y) == (100, 0)
    assert main.path.count("H") == 20


def test_scatter_keeps_shape_and_groups(tmp_path: Path) -> None:
    part = made_audit(tmp_path).evasion.embeddings[0]
    drawn = scatter(part, DIGITS)
    assert len(drawn.marks) == 40
    assert sum(marks.path.count("M") for marks in drawn.marks) == len(part.points)
    assert [marks.condition for marks in drawn.marks] == ["clean"] * 20 + ["attacked"] * 20
    places = [float(number) for number in re.findall(r"M(-?[\d.]+)", "".join(one.path for one in drawn.marks))]
    assert 0 < min(places) < max(places) < 400


@pytest.mark.parametrize("points", [(), ((1.0, 1.0),), ((1.0, 2.0), (1.0, 3.0)), ((1.0, 2.0), (5.0, 2.0))])
def test_scatter_of_few_points(tmp_path: Path, points: tuple[tuple[float, float], ...]) -> None:
    part = made_audit(tmp_path).evasion.embeddings[0]
    count = len(points)
    few = part.replace(
        points=points, label=(0,) * count, model=("build",) * count, condition=("attacked",) * count, explained=None
    )
    drawn = scatter(few, DIGITS)
    assert sum(marks.path.count("M") for marks in drawn.marks) == count
    assert 0 < drawn.height <= 400
