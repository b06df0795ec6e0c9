"""The tables of a study's attacks on single images."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

from edgerift.audit import AttackPart
from edgerift.measure import mcnemar
from edgerift.report.figures._panels import ADAPTATIONS
from edgerift.report.records._evasions import Evasions
from edgerift.report.records._paper import CITATION, published_accuracies
from edgerift.report.tables._spread import average, interval_words, seeds_words, shares
from edgerift.report.tables._table import OURS, PAPER, Cell, Heading, Number, StudyTable, capitalised, made_table
from edgerift.study import StudyResult

_PAPER: Final = (
    f"Paper: {CITATION}, tables 1 and 2, for its ResNet-50, DenseNet and MobileNet; it does not say on which images."
)
_CONTROL: Final = "The float control is trained as long as QAT, but not quantized."
_NAMES: Final = (Heading("Data"), Heading("Network"), Heading("Adapted by"))


def evasion_tables(result: StudyResult) -> list[StudyTable]:
    """Make the tables of the attacks on single images; none where nothing was attacked."""
    if not result.pairs:
        return []
    found = Evasions(result)
    tables = [_accuracy(found), _success(found), _instability(found), _distances(found), _comparisons(found)]
    return [table for table in tables if table.rows]


def _builds(found: Evasions) -> str:
    plan = found.study.evasion
    assert plan is not None
    return f"PTQ and QAT are int8 builds for target {plan.target}"


def _accuracy(found: Evasions) -> StudyTable:
    paper = found.study.paper == "diva"
    groups = {name: capitalised(f"{title} (%)") for name, title in ADAPTATIONS.items()}
    headings = [Heading("Data"), Heading("Network"), Heading(OURS, "Original (%)"), Heading(PAPER, "Original (%)")]
    for adaptation in found.adaptations:
        headings.append(Heading(OURS, groups[adaptation]))
        headings += [Heading(PAPER, groups[adaptation])] if adaptation == "qat" else []
    rows = [_accuracy_row(found, data, original, paper) for data, original in found.networks()]
    caption = (
        f"Share of the test images that get their right label. {_builds(found)}. {_CONTROL} {found.tested_words()}."
    )
    return made_table(
        "accuracy",
        "Accuracy of originals and adapted models" + (" (the paper's tables 1 and 2)" if paper else ""),
        caption,
        interval_words(found.study),
        headings,
        rows,
        place="evasion",
        names=2,
        paper=_PAPER,
    )


def _accuracy_row(found: Evasions, data: str, original: str, paper: bool) -> list[Cell]:
    printed = published_accuracies(found.study.data[data].source or data, original) if paper else None
    before = shares([report.original_accuracy for report in found.original_reports(data, original)], found.seeds)
    row: list[Cell] = [data, original, before, _printed(printed and printed.original)]
    for adaptation in found.adaptations:
        reports = found.spot(data, original, adaptation).reports
        row.append(shares([report.build_accuracy for report in reports.values()], found.seeds))
        row += [_printed(printed and printed.adapted)] if adaptation == "qat" else []
    return row


def _printed(value: float | None) -> Number | None:
    return None if value is None else Number(value, decimals=2)


def _success(found: Evasions) -> StudyTable:
    headings = [*_NAMES, Heading("Attack"), Heading("Seeds")]
    headings += [Heading(name, "Evasive (%)") for name in ("at any step", "at the last step", "top five")]
    headings += [Heading("Adapted wrong (%)"), Heading("Original wrong (%)")]
    rows: list[list[Cell]] = []
    for spot, attack, parts in found.attacks():
        columns = (
            [part.evasive for part in parts],
            [part.evasive_last for part in parts],
            [part.evasive_top5 for part in parts],
            [part.fooled for part in parts],
            [part.original_fooled for part in parts],
        )
        row: list[Cell] = [*spot.names, found.title(attack), seeds_words(len(parts), found.seeds)]
        rows.append([*row, *(shares(column, len(parts)) for column in columns)])
    return made_table(
        "success",
        "Success of the attacks" + (" (the paper prints no rates)" if found.study.paper == "diva" else ""),
        f"Shares of the attacked images. {found.attacked_words()}. Evasive: the original is right and the adapted "
        "model wrong, on an image of whole grey levels, judged by the adapted model as it ships, and again from its "
        "PNG file. Top five: moreover, the adapted model's answer is none of the original's five likeliest. Adapted "
        "wrong: whatever the original says; original wrong: at the image that the search kept.",
        interval_words(found.study),
        headings,
        rows,
        place="evasion",
        names=4,
    )


def _instability(found: Evasions) -> StudyTable:
    headings = [Heading("Data"), Heading("Network")]
    headings += [Heading(capitalised(f"{ADAPTATIONS[name]} (%)")) for name in found.adaptations]
    rows: list[list[Cell]] = []
    for data, original in found.networks():
        spots = (found.spot(data, original, name).reports.values() for name in found.adaptations)
        columns = ([report.instability for report in reports] for reports in spots)
        rows.append([data, original, *(shares(column, found.seeds) for column in columns)])
    return made_table(
        "instability",
        "Instability before any attack",
        "Share of the unchanged test images that exactly one of original and adapted model gets right. "
        f"{found.tested_words()}.",
        interval_words(found.study),
        headings,
        rows,
        place="evasion",
        names=2,
        detail=True,
    )


class _Measure(NamedTuple):
    """A column: its heading, its decimals, between what it lies, and what is measured."""

    heading: Heading
    decimals: int
    within: tuple[float, float]
    of: Callable[[AttackPart], float | None]


_CONFIDENCE: Final = "Confidence difference (points)"
_DISTANCE: Final = "Distance (grey levels)"
_SUCCESS: Final = "To a success"
_UP: Final = (0.0, math.inf)
_MEASURES: Final = (
    _Measure(Heading("attacked", _CONFIDENCE), 1, (0.0, 100.0), lambda part: 100 * part.confidence_delta),
    _Measure(Heading("before", _CONFIDENCE), 1, (0.0, 100.0), lambda part: 100 * part.clean_confidence_delta),
    _Measure(Heading("L∞", _DISTANCE), 1, _UP, lambda part: part.linf),
    _Measure(Heading("L2", _DISTANCE), 0, _UP, lambda part: part.l2),
    _Measure(Heading("SSIM"), 4, (-1.0, 1.0), lambda part: part.ssim),
    _Measure(Heading("steps", _SUCCESS), 1, _UP, lambda part: part.steps),
    _Measure(Heading("gradients", _SUCCESS), 0, _UP, lambda part: part.gradient_calls),
)


def _distances(found: Evasions) -> StudyTable:
    headings = [*_NAMES, Heading("Attack"), Heading("Seeds"), *(measure.heading for measure in _MEASURES)]
    rows: list[list[Cell]] = [
        [
            *spot.names,
            found.title(attack),
            seeds_words(len(parts), found.seeds),
            *(
                average([one.of(part) for part in parts], len(parts), one.decimals, within=one.within)
                for one in _MEASURES
            ),
        ]
        for spot, attack, parts in found.attacks()
    ]
    caption = (
        f"{found.attacked_words()}. Confidence difference: mean distance of the two models' probabilities of the right "
        "label, over all attacked images and over the same ones unchanged. Distances of the attacked to the unchanged "
        "images are means over the evasive ones (SSIM: 1 is equal), steps are those to the first success, gradients "
        "all that were computed over the number of successes; seeds without a success have none of these."
    )
    return made_table(
        "distances",
        "How far and how fast the attacks go",
        caption,
        interval_words(found.study),
        headings,
        rows,
        place="evasion",
        names=4,
        detail=True,
    )


def _comparisons(found: Evasions) -> StudyTable:
    headings = [*_NAMES, Heading("First attack"), Heading("Second attack"), Heading("Seeds"), Heading("Images")]
    headings += [Heading("first alone", "Evaded by"), Heading("second alone", "Evaded by"), Heading("McNemar's p")]
    rows: list[list[Cell]] = []
    for spot in found.spots():
        pooled: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
        for report in spot.reports.values():
            for one in report.comparisons:
                counts = (report.attacked, one.only_first, one.only_second)
                pooled.setdefault((one.first, one.second), []).append(counts)
        for (first, second), seeds in pooled.items():
            images, only_first, only_second = (sum(column) for column in zip(*seeds, strict=True))
            row: list[Cell] = [*spot.names, found.title(first), found.title(second)]
            row.append(seeds_words(len(seeds), found.seeds))
            row += [Number(count, decimals=0) for count in (images, only_first, only_second)]
            rows.append([*row, Number(mcnemar(only_first, only_second), kind="p")])
    caption = (
        "Two attacks on the same images: how many only the first evaded with, and how many only the second, summed "
        "over the seeds. p: McNemar's exact two-sided test of these sums; it takes images of different seeds for "
        "different ones, which they partly are not."
    )
    return made_table(
        "comparisons",
        "The attacks against each other",
        caption,
        "",
        headings,
        rows,
        place="evasion",
        names=5,
        detail=True,
    )
