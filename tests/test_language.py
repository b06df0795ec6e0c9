"""The texts use the terms of the field: no phrase of the table below stands in the documentation.

`PHRASES` is meant to grow: add a phrase with the words to use instead.
"""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: Wrong wherever they stand: a regular expression, and what to write instead.
PHRASES = {
    r"(?<!-)\bthie(f|ves)\b(?!-)": "attacker, adversary",
    r"\bthefts\b": "extraction attacks",
    r"\b(go|goes|going|went) on (where|from where|after its|in the same)\b": "resumes where it stopped",
    r"\b(unless|if not) (it is |they are )?(given|told otherwise|said otherwise)\b": "by default",
    r"\bunless \S+ says otherwise\b": "by default",
    r"\b(images|queries|questions|gradients|bytes|pages|seconds|steps|judgements|ms) an? "
    r"(image|step|second|success|find|iteration|batch|class|question|epoch)\b": "per",
    r"\ban? (gradient|question|query) an? (image|step|find|success)\b": "per",
    r"\b(the|its|every|each|all|these|those|of|\d+|no) finds?\b(?! (out|images|a|an|the)\b)": "success, finding",
    r"\b(evade|evades) again\b": "reproduce",
    r"\bwho(ever)? (guesses|asks|steals|tests)\b": "chance level; anyone who",
    r"\bno better than who\b": "no better than chance",
    r"\bmoves? a little\b": "vary slightly",
    r"\b(as|like) what ships\b": "as the deployed build would",
    r"\bheld alone\b": "holds individually",
    r"\bgets? (a)?round it\b": "is not significantly affected",
    r"\bnothing that can be shown\b": "is not significantly affected",
    r"\bholds? back (neither|no|both|the|one)\b": "no measurable effect on",
    r"\b(no difference shown|told apart from nothing)\b": "not significant",
    r"\bbeside the mark\b": "the gradients point the wrong way",
    r"\b(as|of|from|at most) so (many|large)\b|\bso many (of the )?(images|training|different|most)\b": "N",
    r"\berrs? on\b": "has an error of",
    r"\bheals?\b": "fixes",
    r"\b(images|they) (that )?(are|is) brought to\b": "resize to",
    r"\btakes? with it\b": "blocks",
    r"\bpast steps that fail\b": "continue past failures",
    r"\bcommonest\b": "most common",
    r"\bwithout a word\b": "silently",
    r"\b(may|has to) end (at|below|above) \S* ?%": "the upper confidence bound must be at most",
    r"\b(a |the )?wider? (a )?rift\b": "gap",
    r"\bprocessor (seconds|times?)\b": "CPU time",
    r"\bseconds on the wall\b": "wall-clock seconds",
    r"\b(made|built|rounded|measured) anew\b": "again",
    r"\bwhom to\b": "which victims to",
    r"\bthe (file|store|profile) that is meant\b": "to use",
    r"\bbuild what (a study )?(is )?(lacks|missing)\b": "run missing steps",
    r"\bwhose build is then it\b": "its build becomes the victim",
    r"\bwhere it was\b": "where it stopped",
    r"\bbrings? one runtime each\b": "each installs one runtime",
    r"\b\d+ to \d+ images\b": "160 found only by default, 1 only by diva-2022",
    r"\bor beside what\b": "depends on batch composition",
    r"\bdraws the (weights|order|questions)\b": "seed for",
}
#: Wrong in the documentation, but a name in the code.
IN_DOCUMENTATION = {
    r"\bsays nothing of\b": "gives no",
    r"\bquestions?\b": "query",
    r"\b(he|him|his|himself)\b": "they, the attacker",
    r"\brift\b": "gap, disagreement",
    r"\bverbs?\b(?! \[| --help)": "command",
    r"\btells?\b(?! from which)": "reports, says, shows, lists",
    r"\b(told|tell) apart\b": "separated, significant",
    r"\bupper end\b": "upper confidence bound",
    r"\bask(s|ed|ing)? (about|the (build|oracle|victim))\b": "query",
    r"\bwhoever\b": "anyone who",
    r"\bsomebody\b": "someone",
    r"\ball the same\b": "anyway, after all",
}
#: Pages that are not checked, and why.
GENERATED = {
    "docs/results.md": "written by studies/results.py in the words of edgerift.report",
}
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: Packages of `src/edgerift` whose texts, docstrings and comments are checked: all.
PACKAGES = sorted(path.name for path in (ROOT / "src" / "edgerift").iterdir() if (path / "__init__.py").is_file())
SCRIPTS = sorted([*(ROOT / "examples").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")])


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose_of_page(text: str) -> str:
    """Leave out what a program prints and what is code: blocks of no language, and names in backticks."""
    text = re.sub(r"(?ms)^```(text|console)?$.*?^```$", "", text)
    return re.sub(r"\s+", " ", re.sub(r"`[^`\n]+`", "`", text))


def prose_of_script(text: str) -> str:
    """Take the comments, and the strings of more than one word."""
    strings = [
        node.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip()
    ]
    comments = [
        token.string.lstrip("#:")
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    ]
    return "\n".join(re.sub(r"\s+", " ", re.sub(r"`[^`\n]+`", "`", one)) for one in [*strings, *comments])


def faults(prose: str, phrases: dict[str, str]) -> list[str]:
    return [
        f"...{prose[max(0, found.start() - 30) : found.end() + 30]}...: write '{instead}'"
        for phrase, instead in phrases.items()
        for found in re.finditer(phrase, prose, re.IGNORECASE)
    ]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if named(page) not in GENERATED and "studies" not in page.parts], ids=named
)
def test_a_page_uses_the_terms_of_the_field(page: Path) -> None:
    assert faults(prose_of_page(page.read_text(encoding="utf-8")), PHRASES | IN_DOCUMENTATION) == []


@pytest.mark.parametrize("script", SCRIPTS, ids=named)
def test_a_script_uses_the_terms_of_the_field(script: Path) -> None:
    assert faults(prose_of_script(script.read_text(encoding="utf-8")), PHRASES) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_uses_the_terms_of_the_field(package: str) -> None:
    modules = sorted((ROOT / "src" / "edgerift" / package).rglob("*.py"))
    assert modules
    found = {named(module): faults(prose_of_script(module.read_text(encoding="utf-8")), PHRASES) for module in modules}
    assert {module: wrong for module, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    "text",
    [
        "tells the options of a verb",
        "a run that was stopped\ngoes on where it was",
        "the figures move a little with the processor",
        "extras bring one runtime each",
        "45.6 gradients a find",
        "160 to 1 images",
        "further training alone opens as wide a rift as quantization",
        "in float it heals 25.5 % of the findings",
        "the interval may end at 10 %",
        "they steer beside the mark",
        "when or beside what an image is asked",
        "7 finds did not evade again",
        "for 2,000 answers the thief has a clone that errs on 4 %",
        "it holds back neither of them measurably",
        "gets round it",
        "it costs that nothing that can be shown",
        "no better than who guesses",
        "held alone in",
        "one seed says nothing of how far another would lie",
        "learn from so many of the most likely classes",
        "as what ships does",
        "whose build is then it",
        "images a step, ms an image",
        "height and width that images are brought to",
        "draws the weights, the order",
        "the profile that is meant",
        "whom to compare, beside qat",
        "build what a study lacks",
        "past steps that fail",
        "takes with it the cells that need it",
        "executorch unless given",
    ],
)
def test_a_phrase_is_found(text: str) -> None:
    assert faults(prose_of_page(text), PHRASES | IN_DOCUMENTATION)
    assert faults(prose_of_script(f'"""{text}"""'), PHRASES | IN_DOCUMENTATION)
    assert not faults(prose_of_page(f"```text\n{text}\n```\n`--thief-epochs`"), PHRASES | IN_DOCUMENTATION)


def test_the_pages_left_out_exist() -> None:
    assert set(GENERATED) <= {named(page) for page in PAGES}
