"""A study's tables and records as files: the figures whole, and no name of a user's file markup, command or formula."""

import csv
import io
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from made_audit import HOSTILE
from made_datafree import with_data_free
from made_study import FAILED, made_diva, made_divqat, made_study

from edgerift.facts import COLUMNS, facts
from edgerift.report import (
    Heading,
    Number,
    StudyTable,
    records_csv,
    study_markdown,
    study_tables,
    table_csv,
    table_latex,
)
from edgerift.report.shared._markdown import escaped as markdown_escaped
from edgerift.report.study._markdown import table_markdown
from edgerift.report.tables._columns import interval_words
from edgerift.report.tables._csv import csv_text
from edgerift.report.tables._latex import escaped as latex_escaped
from edgerift.report.tables._table import cell_words
from edgerift.steps import read_document
from edgerift.study import MissingCell, StudyResult

FORMULA = "=HYPERLINK(1)"
NAME = "a|b_c & {d} $e$ #f ~g ^h <i> `j` *k* [l]"


def made(*rows: Sequence[object], names: int = 1, headings: Sequence[Heading] | None = None) -> StudyTable:
    titles = headings or [Heading("Data"), *(Heading(f"Column {place}") for place in range(1, len(rows[0])))]
    return StudyTable(
        name="made",
        title="A title",
        caption="A caption.",
        intervals="Brackets: so.",
        headings=tuple(titles),
        rows=tuple(map(tuple, rows)),  # type: ignore[arg-type]
        place="theft",
        names=names,
    )


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


# Markdown


def test_markdown_has_every_table_and_every_cell() -> None:
    result = made_study()
    text = study_markdown(result)
    for table in study_tables(facts(result)):
        assert f"### {markdown_escaped(table.title)}\n\n{markdown_escaped(table.caption)}\n\n" in text
        for row in table.rows:
            line = "| " + " | ".join(markdown_escaped(cell_words(cell)) for cell in row) + " |"
            assert line in text
    order = ["# A made study", "## Attacks on single images", "### Accuracy", "## Model extraction", "### Victims"]
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)


def test_text_is_at_the_left_and_numbers_at_the_right() -> None:
    headings = [Heading(name) for name in ("Data", "Seeds", "Error", "Mixed", "Sits in")]
    rows = [["a", "3", Number(1.0), "none", None], ["b", "2 of 3", None, Number(2.0), "training"]]
    table = made(*rows, headings=headings)
    assert table.texts == (True, True, False, False, True)
    assert "| --- | --- | ---: | ---: | --- |" in table_markdown(table)
    assert r"\begin{tabular}{@{}llrrl@{}}" in table_latex(table)


def test_every_table_is_in_the_index_and_every_link_leads_somewhere() -> None:
    result = made_study()
    text = study_markdown(result, dict.fromkeys(("success", "pca-cifar10-resnet-ptq", "pca-cifar10-resnet-qat"), "so"))
    top = text[: text.index("## ")]
    assert "Made by `edgerift study run made-both.yaml --profile small`." in top
    headings = {
        re.sub(r"[^\w\s-]", "", heading.replace("&amp;", "").lower()).strip().replace(" ", "-")
        for heading in re.findall(r"^##+ (.*)$", text, re.M)
    }
    links = re.findall(r"^- \[.*\]\(#(.*)\)$", top, re.M)
    assert len(links) == len(study_tables(facts(result))) + 1
    assert set(links) <= headings
    assert "![Success of the attacks](figures/success.png)" in text
    single = "Of single networks, on the [page](report.html) and in the folder figures"
    assert f"{single}: Features, principal components (2).\n" in text
    assert "pca-" not in text
    assert "(#figures)" not in study_markdown(result)
    assert "figures/" not in study_markdown(result)


def test_missing_cells_stand_above_all_tables() -> None:
    text = study_markdown(made_diva())
    top = text[: text.index("## Attacks")]
    assert "32 of 36 cells have a result" in top
    assert f"- cifar10, ResNet, qat, seed 2: {FAILED}\n" in top
    assert "- mnist, MobileNet, ptq, seed 1: not run to its end yet\n" in top
    whole = study_markdown(made_diva(missing=False))
    assert "All 36 cells have a result." in whole
    assert "Without a result" not in whole


def test_brackets_are_explained_once_above_and_with_a_table_that_stands_alone() -> None:
    result = made_divqat()
    text = study_markdown(result)
    words = markdown_escaped(interval_words(result.study))
    assert "Student's t" in words
    assert text.count(words) == 1
    assert text.index(words) < text.index("## The paper's claims") < text.index("## Model")
    assert "Student's t" in table_markdown(study_tables(facts(result))[0])


def test_markdown_cells_stay_in_their_columns() -> None:
    text = table_markdown(made([NAME, Number(1.0, 0.5, 1.5)], ["line\nbreak", None]))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(cells(line)) for line in rows} == {2}
    assert rows[1] == "| --- | ---: |"
    assert cells(rows[3])[0] == "line break"
    assert cells(rows[2])[1] == "1.0 (0.5\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}1.5)"


def test_names_are_no_markdown() -> None:
    result = made_diva((NAME, "<script>"), (FORMULA,), title="<script>*b*")
    text = study_markdown(result.replace(missing=(MissingCell(name=NAME, error=HOSTILE),)))
    for bare in ("<script", "<i>", "\x1b", "\u202e"):
        assert bare not in text
    for written in (r"\*k\*", r"\`j\`", r"\$e\$", r"\~g", r"\*b\*", r"a\|b\_c", r"\[l\]", r"\\x1b\[31m"):
        assert written in text
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(blocks) == 6
    assert all(len({len(cells(line)) for line in block}) == 1 for block in blocks)


# CSV


def test_csv_has_figures_in_full_and_their_ends() -> None:
    table = made(
        ["a", Number(1 / 3, 0.1, 0.7, "share", note="2 of 3 seeds"), "text"],
        ["b", None, None],
        names=1,
        headings=[Heading("Data"), Heading("ours", "Error (%)"), Heading("Other")],
    )
    first, second = read(table_csv(table))
    assert list(first) == [
        "Data", "Error (%): ours", "Error (%): ours, low", "Error (%): ours, high", "Error (%): ours, over", "Other",
    ]  # fmt: skip
    assert float(first["Error (%): ours"]) == 1 / 3
    assert (first["Error (%): ours, low"], first["Error (%): ours, high"]) == ("0.1", "0.7")
    assert first["Error (%): ours, over"] == "2 of 3 seeds"
    assert list(second.values()) == ["b", "", "", "", "", ""]


def test_csv_is_that_of_the_standard() -> None:
    text = csv_text([["a", 'say "so", twice', 1], ["ü", "two\nlines", None]])
    assert text == 'a,"say ""so"", twice",1\r\nü,two lines,\r\n'


@pytest.mark.parametrize(
    "text", [FORMULA, "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", "－1", "\N{NO-BREAK SPACE}=1"]
)
def test_text_is_no_formula(text: str) -> None:
    ((cell,),) = list(csv.reader(io.StringIO(csv_text([[text]]), newline="")))
    # A control character is written out, so that its cell begins with a backslash.
    assert cell.startswith(("'", "\\"))


def test_numbers_below_zero_stay_numbers() -> None:
    assert csv_text([[-1.5, "–", "−2"]]) == "-1.5,–,−2\r\n"


def test_every_csv_table_reads_back() -> None:
    for table in study_tables(facts(made_study())):
        rows = read(table_csv(table))
        assert len(rows) == len(table.rows)
        for written, row in zip(rows, table.rows, strict=True):
            for heading, cell in zip(table.headings, row, strict=True):
                if isinstance(cell, Number):
                    assert float(written[heading.line]) == cell.value


# LaTeX


def test_latex_is_a_booktabs_table_with_its_caption() -> None:
    headings = [Heading("Data"), Heading("ours", "Error (%)"), Heading("paper", "Error (%)"), Heading("Seeds")]
    text = table_latex(made(["a", Number(1.0, 0.5, 1.5), Number(2.0), "3"], ["b", None, None, "1"], headings=headings))
    for part in (
        r"\toprule", r"\midrule", r"\bottomrule", r"\begin{tabular}{@{}lrrl@{}}", r"\label{tab:made}",
        r"\caption{A title.}", r"\studynotes{A caption. Brackets: so.}", r"\usepackage{booktabs,graphicx}",
        r"\multicolumn{2}{c}{Error (\%)}", r"\cmidrule(lr){2-3}",
        r"1.0\\{\scriptsize (0.5~to~1.5)}", r"b & -- & -- & 1 \\",
    ):  # fmt: skip
        assert part in text
    assert text.count("{") == text.count("}")


def test_latex_rules_stand_under_their_groups() -> None:
    names = [("Data", ""), ("a", "One"), ("b", "One"), ("Seeds", ""), ("c", "Two"), ("d", "Two"), ("e", "Two")]
    text = table_latex(made([str(place) for place, _ in enumerate(names)], headings=[Heading(*name) for name in names]))
    assert r"\cmidrule(lr){2-3}\cmidrule(lr){5-7}" in text
    assert r" & \multicolumn{2}{c}{One} &  & \multicolumn{3}{c}{Two} \\" in text


def test_latex_writes_a_rows_names_once() -> None:
    text = table_latex(made(["a", "x", "1"], ["a", "y", "2"], ["b", "y", "3"], names=2))
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    for line in (r"a & x & 1 \\", r" & y & 2 \\", r"b & y & 3 \\"):
        assert f"\n{line}\n" in body
    assert body.count(r"\addlinespace") == 1


def test_latex_cuts_a_table_that_is_too_long() -> None:
    rows = [[name, str(number)] for name in ("a", "b", "c", "d") for number in range(15)]
    text = table_latex(made(*rows))
    assert text.count(r"\begin{table*}") == text.count(r"\end{table*}") == 4
    assert r"\caption{A title (part 1 of 4).}" in text
    assert r"\caption{A title (part 4 of 4).}" in text
    assert text.count("A caption.") == 1
    assert [text.count(rf"\label{{tab:{name}}}") for name in ("made", "made-2", "made-4")] == [1, 1, 1]
    assert [line for line in text.splitlines() if re.match(r"[a-d]? & ", line)] == [
        rf"{name} & {number} \\" for name, number in rows
    ]


def test_latex_cuts_between_rows_where_names_do_not_help() -> None:
    text = table_latex(made(*[["a", str(number)] for number in range(100)]))
    assert text.count(r"\begin{table*}") == 5
    assert all(rf" & {number} \\" in text for number in range(100))


COMMITTED = Path(__file__).parents[3] / "docs" / "studies" / "diva" / "result.json"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
@pytest.mark.parametrize("options", ["10pt", "twocolumn", "12pt,a4paper"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: made_divqat(originals=("ResNet", "MobileNet")),
        lambda: with_data_free(made_divqat(seeds=(0,))),
        lambda: read_document(StudyResult, COMMITTED),
    ],
    ids=["divqat", "data-free", "committed"],
)
def test_every_latex_table_fits_its_page(make: Callable[[], StudyResult], options: str, tmp_path: Path) -> None:
    tables = study_tables(facts(make()))
    for table in tables:
        (tmp_path / f"{table.name}.tex").write_text(table_latex(table), encoding="utf-8")
    inputs = "".join(rf"\input{{{table.name}}}" + "\n" for table in tables)
    (tmp_path / "all.tex").write_text(
        rf"\documentclass[{options}]{{article}}\usepackage{{booktabs,graphicx}}\begin{{document}}"
        f"\n{inputs}\\end{{document}}\n",
        encoding="utf-8",
    )
    call = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    found = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 0, found.stdout[-2000:]
    log = (tmp_path / "all.log").read_text(encoding="latin-1")
    wide = [float(points) for points in re.findall(r"Overfull \\hbox \(([0-9.]+)pt", log)]
    assert not [points for points in wide if points > 1]
    assert "Float too large" not in log


@pytest.mark.parametrize("special", ["\\", "{", "}", "$", "&", "#", "%", "_", "^", "~"])
def test_no_special_of_latex_stays_bare(special: str) -> None:
    found = latex_escaped(f"x{special}y")
    assert found != f"x{special}y"
    assert not re.search(r"(?<!\\)[$&#%_^~]", found)


def test_names_are_no_latex() -> None:
    name = r"\input{/etc/passwd} \\[3cm] * [x] -- <s> | `q`"
    text = table_latex(made([name, "1"], ["[first]", "2"], ["*", "3"]))
    assert r"\input" not in text
    assert r"\textbackslash{}input\{" in text
    # A bracket or a star where a row begins would be taken for an option of the line's end before it.
    assert not re.search(r"\\\\(\[[0-9a-z]+\])?\s*[\[*]", text)
    assert "-{}-{}" in text
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")


def test_every_latex_table_has_its_columns() -> None:
    for table in study_tables(facts(made_study())):
        text = table_latex(table)
        assert text.count("{") == text.count("}")
        # Cells of several lines hold ends of lines, but no column marks.
        lines = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
        assert {len(re.split(r"(?<!\\)&", line)) for line in lines} == {len(table.headings)}


# Records


def find(rows: Sequence[dict[str, str]], **fields: str) -> dict[str, str]:
    found = [row for row in rows if all(row[name] == value for name, value in fields.items())]
    assert len(found) == 1, (fields, len(found))
    return found[0]


def test_records_have_every_figure_of_every_seed() -> None:
    result = made_diva()
    rows = read(records_csv(facts(result)))
    assert tuple(rows[0]) == COLUMNS
    for cell in result.pairs:
        place = {"data": cell.data, "original": cell.original, "victim": cell.adaptation, "seed": str(cell.seed)}
        found = find(rows, **place, metric="accuracy")
        part = cell.report.build_accuracy
        assert [float(found[name]) for name in ("value", "low", "high", "count")] == [
            part.value, part.low, part.high, part.trials,
        ]  # fmt: skip
        assert found["target"] == ("" if cell.adaptation == "finetune" else "mobile")
        for name, attack in cell.report.attacks.items():
            own = {**place, "attack": name}
            assert float(find(rows, **own, metric="evasive at any step")["value"]) == attack.evasive.value
            assert float(find(rows, **own, metric="confidence difference")["value"]) == attack.confidence_delta
            wanted = {**own, "metric": "evasive after so many gradients"}
            calls = [float(row["value"]) for row in rows if wanted.items() <= row.items()]
            assert calls == [one / cell.report.attacked for one in attack.cumulative]


def test_an_original_is_recorded_once_a_seed() -> None:
    rows = [
        row
        for row in read(records_csv(facts(made_diva())))
        if row["victim"] == "original" and row["metric"] == "accuracy"
    ]
    measured = [row for row in rows if row["source"] == "measured"]
    assert len({(row["data"], row["original"], row["seed"]) for row in measured}) == len(measured) == 12
    assert {row["seed"] for row in rows if row["source"] == "published"} == {""}


def test_records_name_the_papers_place() -> None:
    rows = read(records_csv(facts(made_diva())))
    assert (
        find(rows, data="cifar10", victim="qat", seed="0", original="ResNet", metric="accuracy")["paper"] == "table 1"
    )
    assert find(rows, data="mnist", victim="qat", seed="0", original="ResNet", metric="accuracy")["paper"] == "table 2"
    assert find(rows, data="mnist", victim="ptq", seed="0", original="ResNet", metric="accuracy")["paper"] == ""
    printed = find(rows, source="published", data="cifar10", original="MobileNet", victim="qat")
    assert (printed["value"], printed["paper"]) == ("0.812", "table 1")
    rows = read(records_csv(facts(made_divqat(targets=("server", "mobile")))))
    place = {"data": "gtsrb", "seed": "1", "target": "server", "labels": "", "at": "", "metric": "defender's error"}
    expected = {"divqat": "table III; table V", "rs": "table III", "divqat+rs": "table IV"}
    assert {name: find(rows, **place, victim=name)["paper"] for name in expected} == expected
    assert find(rows, **{**place, "target": "mobile"}, victim="divqat")["paper"] == "table V"
    curve = {"data": "gtsrb", "seed": "1", "victim": "divqat", "at": "0.3"}
    for labels, student in (("soft", "resnet8"), ("hard", "resnet8"), ("soft", "lenet")):
        thief = find(rows, **curve, labels=labels, student=student, metric="adversary's error")
        assert thief["paper"] == "figure 4"
    assert find(rows, **curve, metric="KL to the original")["paper"] == "figure 6"
    student = {"student": "lenet", "victim": "qat", "labels": "hard", "data": "gtsrb", "seed": "1"}
    assert find(rows, **student, metric="disagreement")["paper"] == "figure 3"


def test_published_figures_of_theft_are_recorded_once() -> None:
    rows = [
        row
        for row in read(records_csv(facts(made_divqat(targets=("server", "mobile")))))
        if row["source"] == "published"
    ]
    keys = [tuple(row[name] for name in ("paper", "data", "victim", "target", "labels", "metric")) for row in rows]
    assert len(set(keys)) == len(keys)
    found = find(rows, paper="table V", data="gtsrb", victim="divqat", target="mobile", metric="adversary's error")
    assert found["value"] == "0.5355"
    found = find(rows, paper="table IV", data="gtsrb", victim="divqat+dcp", target="server", metric="defender's error")
    assert found["value"] == "0.0696"
    assert not [
        row for row in read(records_csv(facts(made_divqat(paper=None)))) if row["source"] == "published" or row["paper"]
    ]


@pytest.mark.parametrize("result", [made_diva((FORMULA,), (FORMULA,)), made_divqat((FORMULA,), (FORMULA,))])
def test_records_are_no_formulas(result: StudyResult) -> None:
    rows = read(records_csv(facts(result)))
    assert {row["data"] for row in rows} == {f"'{FORMULA}"}
    numbers = ("seed", "value", "low", "high", "count")
    assert all(not row[name] or float(row[name]) == float(row[name]) for row in rows for name in numbers)
