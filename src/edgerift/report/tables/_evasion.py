"""The tables of a study's attacks on single images."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from edgerift.facts import ADAPTATIONS, Facts, Reading
from edgerift.facts import readings as of
from edgerift.measure import mcnemar
from edgerift.report.shared._collapses import Collapses
from edgerift.report.shared._study import adaptations, attack_titles, networks
from edgerift.report.tables._columns import Column, Row, measured, ours, published, seeds_column, table
from edgerift.report.tables._registry import study_table
from edgerift.report.tables._table import Cell, Heading, Number, StudyTable, capitalised

_PAPER: Final = (
    'Paper: A. Pyla, V. Yenugutala, G. D. Addanki: "Exploring DIVA (Differential eVasive Attack) attack on Edge '
    'Models", tables 1 and 2, for its ResNet-50, DenseNet and MobileNet; it does not say on which images.'
)
_CONTROL: Final = "The float control is trained as long as QAT, but not quantized."
_NETWORK: Final = ("Data", "Network")
NAMES: Final = (*_NETWORK, "Adapted by")
_CONFIDENCE: Final = "Confidence difference (points)"
_DISTANCE: Final = "Distance (grey levels)"
_SUCCESS: Final = "To a success"


@study_table(10)
def accuracy(found: Facts) -> StudyTable | None:
    """Make the table of the accuracies, beside those that the paper prints."""
    plan = found.study.evasion
    if plan is None:
        return None
    columns = [
        ours(of.ORIGINAL_ACCURACY, "Original (%)"),
        published(of.ORIGINAL_ACCURACY, "Original (%)"),
    ]
    for name in adaptations(found):
        group = capitalised(f"{ADAPTATIONS[name]} (%)")
        columns.append(ours(of.ADAPTED_ACCURACY, group, victim=name))
        columns += [published(of.ADAPTED_ACCURACY, group)] if name == "qat" else []
    caption = (
        f"Share of the test images that get their right label. PTQ and QAT are int8 builds for target {plan.target}. "
        f"{_CONTROL} {_tested_words(found)}."
    )
    papers = " (the paper's tables 1 and 2)" if found.study.paper == "diva" else ""
    title = f"Accuracy of originals and adapted models{papers}"
    return table("accuracy", title, caption, found, _NETWORK, columns, _networks(found), place="evasion", paper=_PAPER)


@study_table(20)
def success(found: Facts) -> StudyTable:
    """Make the table of the attacks' rates."""
    columns = [
        seeds_column(found),
        measured(of.EVASIVE, "at any step", "Evasive (%)"),
        measured(of.EVASIVE_LAST, "at the last step", "Evasive (%)"),
        measured(of.EVASIVE_TOP5, "top five", "Evasive (%)"),
        measured(of.FOOLED),
        measured(of.ORIGINAL_FOOLED),
    ]
    title = "Success of the attacks" + (" (the paper prints no rates)" if found.study.paper == "diva" else "")
    rows = list(attack_rows(found))
    caption = (
        f"Shares of the attacked images. {attacked_words(found)}. Evasive: the original is right and the adapted "
        "model wrong, on an image of whole grey levels, judged by the adapted model as it ships, and again from its "
        "PNG file. Top five: moreover, the adapted model's answer is not among the original's top five. Adapted "
        "wrong: whatever the original says; original wrong: at the image that the search kept."
    )
    return table("success", title, caption, found, (*NAMES, "Attack"), columns, rows, place="evasion")


@study_table(30)
def instability(found: Facts) -> StudyTable:
    """Make the table of what quantization changes before any attack."""
    columns = [
        measured(of.INSTABILITY, capitalised(f"{ADAPTATIONS[name]} (%)"), victim=name) for name in adaptations(found)
    ]
    caption = (
        "Share of the unchanged test images that exactly one of original and adapted model gets right. "
        f"{_tested_words(found)}."
    )
    title = "Instability before any attack"
    return table(
        "instability", title, caption, found, _NETWORK, columns, _networks(found), place="evasion", detail=True
    )


@study_table(40)
def distances(found: Facts) -> StudyTable:
    """Make the table of how far and how fast attacks go."""
    columns = [
        seeds_column(found),
        measured(of.CONFIDENCE, "attacked", _CONFIDENCE),
        measured(of.CLEAN_CONFIDENCE, "before", _CONFIDENCE),
        measured(of.LINF, "L∞", _DISTANCE, decimals=1),
        measured(of.L2, "L2", _DISTANCE, decimals=0),
        measured(of.SSIM, decimals=4),
        measured(of.STEPS, "steps", _SUCCESS, decimals=1),
        measured(of.GRADIENTS, "gradients", _SUCCESS),
    ]
    caption = (
        f"{attacked_words(found)}. Confidence difference: mean distance of the two models' probabilities of the right "
        "label, over all attacked images and over the same ones unchanged. Distances of the attacked to the unchanged "
        "images are means over the evasive ones (SSIM: 1 is equal), steps are those to the first success, gradients "
        "all that were computed over the number of successes; seeds without a success have none of these."
    )
    title, rows = "How far and how fast the attacks go", list(attack_rows(found))
    return table("distances", title, caption, found, (*NAMES, "Attack"), columns, rows, place="evasion", detail=True)


@study_table(50)
def comparisons(found: Facts) -> StudyTable:
    """Make the table of the attacks against each other."""
    sums: dict[Reading[Any], Heading] = {
        of.ATTACKED: Heading("Images"),
        of.ONLY_FIRST: Heading("first alone", "Evaded by"),
    }
    sums[of.ONLY_SECOND] = Heading("second alone", "Evaded by")
    columns = [seeds_column(found)]
    columns += [Column(heading, partial(_sum_cell, reading)) for reading, heading in sums.items()]
    columns.append(Column(Heading("McNemar's p"), _mcnemar))
    caption = (
        "Two attacks on the same images: how many only the first evaded with, and how many only the second, summed "
        "over the seeds. p: McNemar's exact two-sided test of these sums; it takes images of different seeds for "
        "different ones, which they partly are not."
    )
    return table(
        "comparisons", "The attacks against each other", caption, found, (*NAMES, "First attack", "Second attack"),
        columns, list(_compared(found)), place="evasion", detail=True, intervals="",
    )  # fmt: skip


def _sum(found: Facts) -> int:
    return int(sum(fact.value for fact in found))


def _sum_cell(reading: Reading[Any], row: Row) -> Cell:
    return Number(_sum(row.facts.of(reading)), decimals=0)


def _mcnemar(row: Row) -> Cell:
    return Number(mcnemar(_sum(row.facts.of(of.ONLY_FIRST)), _sum(row.facts.of(of.ONLY_SECOND))), kind="p")


def _networks(found: Facts) -> list[Row]:
    """Make a row for each network; what the paper prints of its builds is of QAT."""
    own = found.where(source="measured").by("data", "original")
    printed = found.where(source="published").by("data", "original")
    planned = len(found.study.seeds)
    return [
        Row(place, own[place], planned, printed=printed.get(place))
        for place in networks(found.of(of.ORIGINAL_ACCURACY))
    ]


def spots(found: Facts) -> Iterator[tuple[tuple[Cell, ...], Facts]]:
    """List the adapted networks that have facts, each with its names."""
    known, collapses = found.where(source="measured").by("data", "original", "victim"), Collapses(found)
    for data, original in networks(found.of(of.ADAPTED_ACCURACY)):
        for name in adaptations(found):
            if (data, original, name) in known:
                spot = known[data, original, name]
                seeds = len(spot.of(of.ADAPTED_ACCURACY))
                title = collapses.mark(ADAPTATIONS[name], seeds, data=data, original=original, victim=name)
                yield (data, original, title), spot


def attack_rows(found: Facts) -> Iterator[Row]:
    """Make a row for each attack on each adapted network."""
    known = {} if found.study.evasion is None else found.study.evasion.attacks
    for names, spot in spots(found):
        own = spot.by("attack", "against")
        for attack, title in attack_titles(found.study, known).items():
            if (attack, "") in own:
                facts = own[attack, ""]
                yield Row((*names, title), facts, len(facts.of(of.EVASIVE)))


def _compared(found: Facts) -> Iterator[Row]:
    """Make a row for each two attacks on each adapted network, with the images of the seeds that have both."""
    for names, spot in spots(found):
        attacked = spot.of(of.ATTACKED)
        for (first, second), own in spot.of(of.ONLY_FIRST, of.ONLY_SECOND).by("attack", "against").items():
            titles = attack_titles(found.study, [first, second])
            images = [fact for fact in attacked if fact.seed in own.seeds]
            yield Row((*names, titles[first], titles[second]), Facts(found.result, [*own, *images]), len(images))


def attacked_words(found: Facts) -> str:
    """Say how many images were attacked, of those that can be."""
    counts = sorted(found.of(of.ATTACKED).distinct("value")) or [0]
    words = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    plan = found.study.evasion
    split = "training" if plan is not None and plan.split == "train" else "test"
    return f"Attacked: {words} {split} images for each seed, of those that original and adapted model both get right"


def _tested_words(found: Facts) -> str:
    """Say how many test images there are."""
    own = found.of(of.ORIGINAL_ACCURACY).by("data")
    return f"Test images: {', '.join(f'{data} {own[data][0].count:,}' for data in found.study.data if data in own)}"
