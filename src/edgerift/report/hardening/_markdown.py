"""A comparison of hardened victims, and a sweep of defences, as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from edgerift.harden import Defending, Hardening, TimesPart, VariantPart
from edgerift.report.hardening._defend_text import choice_words, defending_heading, point_cells, was_stolen
from edgerift.report.hardening._words import (
    ONE_SEED,
    allowance_words,
    closed_form_words,
    distance,
    has_paper,
    heading,
    mean_ends,
    noise_words,
    search_words,
    stealing_words,
    strength_words,
)
from edgerift.report.shared._markdown import escaped, markdown_list, markdown_table
from edgerift.report.shared._words import paper_note, percent, rate

_MORE: Final = (
    "Victim", "l1 on the queries", "Labels changed", "KL to the original, nats", "Calibration error",
    "Neg. log-likelihood", "Top-2 probabilities", "Best epoch's error, soft", "hard", "Added ms",
)  # fmt: skip
_ALPHAS: Final = ("Alpha", "l1", "KL to the original, nats", "Defender's error", "Adversary's error", "Disagreement")
_SWEEP: Final = ("Strength", "l1", "Error", "Labels changed", "Calibration error", "Neg. log-likelihood")


def hardening_markdown(hardening: Hardening) -> str:
    """Write a comparison as Markdown: its tables, the paper's results beside ours, and how the strengths were found."""
    paper = has_paper(hardening)
    parts = hardening.victim.values()
    blocks = [
        f"**{escaped(heading(hardening))}**",
        markdown_table(_headings(paper), (_main_row(part, paper) for part in parts)),
        *([paper_note(hardening.target)] if paper else []),
        markdown_table(_MORE, (_more_row(part, hardening.times.get(name)) for name, part in hardening.victim.items())),
        markdown_list(hardening.verdict.splitlines()),
        markdown_list(filter(None, _how(hardening))),
    ]
    if hardening.alphas:
        blocks += ["DivQAT over alpha, with soft labels:", _alphas(hardening)]
    return "\n\n".join(blocks) + "\n"


def defending_markdown(swept: Defending) -> str:
    """Write sweeps of defences as Markdown: a table for each, and the choice within the budget."""
    blocks = [f"**{escaped(defending_heading(swept))}**"]
    for name, points in swept.sweeps.items():
        stolen = was_stolen(points)
        headings = (*_SWEEP, *(("Adversary's error", "Disagreement") if stolen else ()))
        blocks += [f"{escaped(name)}:", markdown_table(headings, (point_cells(point, stolen) for point in points))]
        if name in swept.chosen:
            blocks.append(escaped(choice_words(name, swept.chosen[name], swept.budget_l1)))
    return "\n\n".join(blocks) + "\n"


def _headings(paper: bool) -> list[str]:
    printed = ["Paper"] if paper else []
    errors = ["Defender's error", *printed, "Adversary's error, soft", *printed, "hard"]
    return ["Victim", "Strength", "l1", *errors, "Disagreement, soft", "hard"]


def _main_row(part: VariantPart, paper: bool) -> list[str]:
    given = part.paper
    figures = ("–", "–") if given is None else (percent(given.defender_error), percent(given.adversary_error))
    defender, adversary = ([figure] if paper else [] for figure in figures)
    cells = [part.title, strength_words(part) or "–", f"{distance(part.l1)} {mean_ends(part.l1)}"]
    cells += [rate(part.defender_error), *defender]
    cells += [rate(part.adversary_error.soft), *adversary, rate(part.adversary_error.hard)]
    return [*cells, rate(part.disagreement.soft), rate(part.disagreement.hard)]


def _more_row(part: VariantPart, times: TimesPart | None) -> list[str]:
    milliseconds = None if times is None else times.defence_milliseconds
    return [
        part.title,
        f"{distance(part.l1_queries)} {mean_ends(part.l1_queries)}",
        rate(part.changed),
        f"{part.divergence.value:.4f} {mean_ends(part.divergence, 4)}",
        percent(part.calibration_error),
        f"{part.negative_log_likelihood:.3f}",
        f"{part.top1:.3f}, {part.top2:.3f}",
        percent(part.best_epoch.soft.error),
        percent(part.best_epoch.hard.error),
        "–" if milliseconds is None else f"{milliseconds:.3f}",
    ]


def _how(hardening: Hardening) -> Iterable[str | None]:
    yield allowance_words(hardening)
    yield from search_words(hardening)
    yield closed_form_words(hardening)
    yield noise_words(hardening)
    yield stealing_words(hardening)
    yield ONE_SEED


def _alphas(hardening: Hardening) -> str:
    rows = (
        [
            f"{point.alpha:g}",
            f"{point.l1:.3f}",
            f"{point.divergence:.4f}",
            *map(rate, (point.defender_error, point.adversary_error, point.disagreement)),
        ]
        for point in hardening.alphas
    )
    return markdown_table(_ALPHAS, rows)
