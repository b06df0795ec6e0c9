"""What of the papers' claims held here, as one Markdown page made of the studies' results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from edgerift.facts import Claim, Finding, claims
from edgerift.report.shared._words import plain
from edgerift.report.study._claims import HEADINGS, POOLED, claim_number, claim_row
from edgerift.report.study._words import command, data_free_budget_words
from edgerift.report.tables._table import capitalised, cell_words
from edgerift.study import StudyResult

_PAPERS: Final[Mapping[str, str]] = {
    "diva": "DIVA",
    "divqat": "DivQAT (Khaled et al. 2025, arXiv:2512.23948)",
}
_RESOLVED: Final = ("held", "did not hold", "no effect")
_UNITS: Final[Mapping[str, str]] = {
    "points": "percentage points",
    "percent": "percent",
    "nats": "nats",
    "l1": "l1, in [0, 2]",
}


def results_markdown(results: Sequence[StudyResult], folders: Sequence[str]) -> str:
    """Write the page: for each study its scale, its claims with their verdicts, and every finding behind them.

    `folders` are those of the studies' own reports, as the page links them.
    """
    blocks = [
        "# Results",
        "What of the two papers' claims held here, at which scale and with which uncertainty. This page is generated "
        "from the results of the studies by `python studies/results.py`; nothing on it is written by hand.",
        "A claim **held** when the 95 % interval of its difference lies on the claim's side of its bound (zero by "
        "default), **did not hold** when it lies on the other side, and is **not resolved** when the bound is "
        "inside, there is a single value, or a model collapsed or diverged for some of the seeds alone. **No effect** "
        "says that the whole interval lies within one percentage point (one percent, 0.01 nats, 0.01 of l1) of zero.",
        f"Differences are between models of the same seed. {POOLED} The rows below a table's first are those pairs, "
        "each with Student's t over its seeds. The intervals are not corrected for multiple comparisons: "
        "of twenty true zeros one is expected outside its own.",
    ]
    titles: list[str] = []
    for result, folder in zip(results, folders, strict=True):
        title = _PAPERS.get(result.study.paper or "", result.study.title)
        titles.append(title if title not in titles else f"{title}, profile {result.profile}")
        blocks += _study(result, titles[-1], folder)
    return "\n\n".join(blocks) + "\n"


def _study(result: StudyResult, title: str, folder: str) -> list[str]:
    study = result.study
    judged = claims(result)
    blocks = [
        f"## {plain(title)}",
        f"Study `{study.study}`, profile `{plain(result.profile)}`: {_scale(result)} Made by `{command(result)}`. "
        f"All tables and figures: [here]({folder}/tables.md), and in one file: "
        f"[the study's page]({folder}/report.html).",
    ]
    if result.pairs:
        blocks.append(f"![Success of the attacks]({folder}/figures/success.png)")
    if result.thefts:
        blocks.append(f"![Cost and protection]({folder}/figures/tradeoff.png)")
    if result.data_free:
        blocks.append(f"![Data-free extraction]({folder}/figures/questions.png)")
    if result.missing:
        names = "; ".join(plain(cell.name) for cell in result.missing)
        blocks.append(f"Missing, and left out below: {names}.")
    blocks += _summaries(result, judged)
    for claim in judged:
        if claim.together is not None:
            blocks += [
                f"### {claim.statement}",
                f"{claim.measured[0].upper()}{claim.measured[1:]}; {_UNITS[claim.unit]}.{_bound(claim)}",
                *([capitalised(claim.note)] if claim.note else []),
                _all(claim),
            ]
    return blocks


def _summaries(result: StudyResult, judged: Sequence[Claim]) -> list[str]:
    """Make the tables of the claims: of the second paper, those that are resolved apart from the others.

    What decides there is the place of the measurement, for its loss does other things at other settings.
    """
    if result.study.paper != "divqat":
        return [_table(HEADINGS, [_summary(claim) for claim in judged])]
    resolved = [claim for claim in judged if claim.verdict in _RESOLVED]
    others = [claim for claim in judged if claim.verdict not in _RESOLVED]
    where = f"with the settings of the profile `{plain(result.profile)}`, at models that do better than guessing"
    titles = (
        (f"**Resolved {where}:**", resolved),
        ("**Not resolved there, or without a verdict:**", others),
    )
    nothing = "**At the paper's settings** (profile `paper`): nothing was measured."
    blocks = [] if result.profile == "paper" else [nothing]
    for title, own in titles:
        blocks += [title, _table(HEADINGS, [_summary(claim) for claim in own])] if own else []
    return blocks


def _bound(claim: Claim) -> str:
    return "" if claim.bound == 0 else f" The bound is {claim.bound:g}."


def _scale(result: StudyResult) -> str:
    study = result.study
    seeds = f"{len(study.seeds)} seed" + ("s" if len(study.seeds) > 1 else "")
    networks = ", ".join(f"{name} ({choice.model})" for name, choice in study.originals.items())
    parts = [f"data {', '.join(study.data)}", f"networks {networks}", seeds]
    if study.evasion is not None:
        count = study.evasion.count
        parts.append(f"{'all' if count is None else count} images attacked for each")
    if study.theft is not None:
        parts.append(f"attackers with {study.theft.budget:,} queries and {study.theft.knockoff.student} clones")
    if study.theft is not None and study.theft.data_free is not None:
        parts.append(f"data-free attackers with {data_free_budget_words(study.theft.data_free)}")
    return plain("; ".join(parts)) + "."


def _summary(claim: Claim) -> list[str]:
    *cells, verdict, alone = claim_row(claim).cells()
    return [*cells, f"**{verdict}**", alone]


def _all(claim: Claim) -> str:
    assert claim.together is not None
    findings = (claim.together, *claim.findings) if len(claim.findings) > 1 else claim.findings
    return _table(("", "Difference", "Values", "Verdict"), [_finding(found, claim) for found in findings])


def _finding(found: Finding, claim: Claim) -> list[str]:
    whole, values = found.difference, found.difference.values
    told = cell_words(claim_number(claim.unit, whole.value, whole.low, whole.high))
    if found is claim.together:
        return [found.where, told, f"the {len(values)} means below", found.verdict]
    shown = ", ".join(cell_words(claim_number(claim.unit, value)) for value in values)
    equal = " (one seed)" if whole.count == 1 else " (equal seeds)"
    alone = equal if whole.low is None else ""
    return [found.where, f"{told}{alone}", shown, found.verdict]


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return plain(text).replace("|", "\\|").replace("<", "&lt;")
