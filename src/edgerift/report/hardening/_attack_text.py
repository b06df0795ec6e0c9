"""An extraction attack, with images or without, as shown in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table

from edgerift.extract import CurvePoint, DataFreeTheft, Theft
from edgerift.report.shared._thief_words import thief_words
from edgerift.report.shared._words import defence_words, percent
from edgerift.report.tables._table import Cell, Heading, StudyTable, made_table, mean_number, share_number
from edgerift.report.tables._text import table_text, text_line


def theft_text(theft: Theft, folder: Path | None = None) -> RenderableType:
    """Lay an extraction attack out for rich: results with intervals; with the folder, where the clone is."""
    best = theft.best_epoch
    more: list[tuple[str, Cell]] = [
        (f"At its best epoch on the test images, {best.epoch} (%)", share_number(best.error)),
        ("l1 of the defence, queries", mean_number(theft.l1_queries)),
    ]
    title = (
        f"Attacker: {thief_words(theft.attack)}; {theft.spent:,} queries from {theft.queries}, of a budget of "
        f"{theft.budget:,}. Defence: {_defences(theft)}"
    )
    lines = [_outcome(theft)] + ([] if folder is None else [f"Clone: {folder / 'clone.safetensors'}"])
    return Group(_results(title, theft, more), *map(text_line, lines))


def data_free_text(theft: DataFreeTheft, folder: Path | None = None) -> RenderableType:
    """Lay an extraction attack out for rich: results with intervals, the curve, and the finite differences."""
    victim = "the victim's quantized weights, run in float" if theft.simulated else "the victim"
    images = "whole grey levels" if theft.pixels == "whole" else "float images"
    title = (
        f"Data-free attacker: {theft.attack.name}, {theft.attack.student}; {theft.spent:,} queries of {victim} with "
        f"generated {images}, of a budget of {theft.budget:,}. Defence: {_defences(theft)}"
    )
    lines = [_outcome(theft), *_masking(theft)]
    lines += [] if folder is None else [_files(theft, folder)]
    return Group(_results(title, theft, []), _curve(theft.curve), *map(text_line, lines))


def _defences(theft: Theft | DataFreeTheft) -> str:
    return " and then ".join(map(defence_words, theft.defences)) or "none"


def _results(title: str, theft: Theft | DataFreeTheft, more: Sequence[tuple[str, Cell]]) -> Table:
    rows: list[tuple[str, Cell]] = [
        ("Defender's error (%)", share_number(theft.defender_error)),
        ("Adversary's error (%)", share_number(theft.adversary_error)),
        *more,
        ("Disagreement (%)", share_number(theft.disagreement)),
        ("l1 of the defence, test images", mean_number(theft.l1)),
        ("KL(victim || clone), nats", mean_number(theft.divergence)),
        ("Calibration error of the answers (%)", share_number(theft.calibration_error)),
        ("Negative log-likelihood", mean_number(theft.negative_log_likelihood)),
    ]
    return table_text(_table(title, ("", "Measured"), rows))


def _curve(curve: Sequence[CurvePoint]) -> Table:
    """Show about ten points of the curve, the last one among them."""
    headings = ("Queries", "Clone's loss", "Error (%)", "Disagreement (%)", "Zero differences (%)", "Correlation")
    step = max(1, len(curve) // 10)
    return table_text(_table("", headings, [_point(point) for point in curve[::-1][::step][::-1]]))


def _point(point: CurvePoint) -> list[Cell]:
    found = point.measured
    masking = None if found is None else found.masking
    return [
        f"{point.queries:,}",
        mean_number(point.clone_loss),
        None if found is None else share_number(found.error),
        None if found is None else share_number(found.disagreement),
        None if point.zero_share is None else share_number(point.zero_share),
        None if masking is None or masking.correlation is None else mean_number(masking.correlation),
    ]


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> StudyTable:
    return made_table("theft", title, "", "", list(map(Heading, headings)), rows, place="theft", names=1)


def _outcome(theft: Theft | DataFreeTheft) -> str:
    return (
        f"Small figures: 95 % intervals. With {theft.spent:,} queries the clone reaches a test error of "
        f"{percent(theft.adversary_error.value)}, "
        f"against {percent(theft.defender_error.value)} of the victim, and disagrees with the victim on "
        f"{percent(theft.disagreement.value)} of the test images."
    )


def _masking(theft: DataFreeTheft) -> list[str]:
    """Say when the attack was blind, so that rounding is not mistaken for a defence."""
    found = [point.measured.masking for point in theft.curve if point.measured and point.measured.masking]
    if not found or not found[-1].is_blind:
        return []
    last = found[-1]
    known = "no measurable correlation" if last.correlation is None else f"a correlation of only {last.correlation:.2f}"
    return [
        f"The attack was blind: its finite differences (epsilon {last.epsilon:g}) have {known} with the victim's "
        f"gradient and {percent(last.zero_share)} of them are zero. What it missed may not be due to the "
        "victim's training: compare with a larger --epsilon, with --simulated, or with an attack without finite "
        "differences (--attack disguide)."
    ]


def _files(theft: DataFreeTheft, folder: Path) -> str:
    names = ["clone.safetensors", *(f"clone-{number}.safetensors" for number in range(2, theft.attack.clones + 1))]
    title = "Clone" if len(names) == 1 else "Ensemble of clones"
    pictures = f"curve: {folder / 'curve.png'}; the generator's images: {folder / 'samples.png'}"
    return f"{title}: {', '.join(str(folder / name) for name in names)}; {pictures}"
