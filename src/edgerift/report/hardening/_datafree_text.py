"""A data-free extraction attack as shown in a terminal."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgerift.extract import CurvePoint, DataFreeTheft
from edgerift.report.hardening._words import defence_words, mean_ends
from edgerift.report.shared._words import bounds, percent, plain


def data_free_text(theft: DataFreeTheft, folder: Path | None = None) -> RenderableType:
    """Lay an extraction attack out for rich: results with intervals, the curve, and the finite differences."""
    table = Table(title=Text(plain(_title(theft))), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, name in enumerate(("", "", "95 % interval")):
        table.add_column(name, justify="right" if number == 1 else "left")
    for row in _rows(theft):
        table.add_row(*map(Text, row))
    lines = [_outcome(theft), *_masking(theft)]
    lines += [] if folder is None else [_files(theft, folder)]
    return Group(table, _curve(theft.curve), *(Text(plain(line)) for line in lines))


def _files(theft: DataFreeTheft, folder: Path) -> str:
    clones = [
        folder / "clone.safetensors",
        *(folder / f"clone-{n}.safetensors" for n in range(2, theft.attack.clones + 1)),
    ]
    title = "Clone" if len(clones) == 1 else "Ensemble of clones"
    pictures = f"curve: {folder / 'curve.png'}; the generator's images: {folder / 'samples.png'}"
    return f"{title}: {', '.join(map(str, clones))}; {pictures}"


def _title(theft: DataFreeTheft) -> str:
    defences = " and then ".join(map(defence_words, theft.defences)) or "none"
    victim = "the victim's quantized weights, run in float" if theft.simulated else "the victim"
    images = "whole grey levels" if theft.pixels == "whole" else "float images"
    return (
        f"Data-free attacker: {theft.attack.name}, {theft.attack.student}; {theft.spent:,} queries of {victim} with "
        f"generated {images}, of a budget of {theft.budget:,}. Defence: {defences}"
    )


def _rows(theft: DataFreeTheft) -> list[tuple[str, str, str]]:
    return [
        ("Defender's error", percent(theft.defender_error.value), bounds(theft.defender_error)),
        ("Adversary's error", percent(theft.adversary_error.value), bounds(theft.adversary_error)),
        ("Disagreement", percent(theft.disagreement.value), bounds(theft.disagreement)),
        ("l1 of the defence, test images", f"{theft.l1.value:.3f}", mean_ends(theft.l1)),
        ("KL(victim || clone), nats", f"{theft.divergence.value:.3f}", mean_ends(theft.divergence)),
        ("Calibration error of the answers", percent(theft.calibration_error), ""),
        ("Negative log-likelihood", f"{theft.negative_log_likelihood:.3f}", ""),
    ]


def _curve(curve: tuple[CurvePoint, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("queries", "clone's loss", "error", "disagreement", "zero differences", "correlation"):
        table.add_column(name, justify="right")
    step = max(1, len(curve) // 10)
    for point in curve[::-1][::step][::-1]:
        found = point.measured
        correlation = None if found is None or found.masking is None else found.masking.correlation
        cells = (
            f"{point.queries:,}",
            f"{point.clone_loss:.3f}",
            "" if found is None else percent(found.error),
            "" if found is None else percent(found.disagreement),
            "" if point.zero_share is None else percent(point.zero_share),
            "" if correlation is None else f"{correlation:.2f}",
        )
        table.add_row(*map(Text, cells))
    return table


def _outcome(theft: DataFreeTheft) -> str:
    return (
        f"With {theft.spent:,} queries the clone reaches a test error of {percent(theft.adversary_error.value)}, "
        f"against {percent(theft.defender_error.value)} of the victim, and disagrees with the victim on "
        f"{percent(theft.disagreement.value)} of the test images."
    )


def _masking(theft: DataFreeTheft) -> list[str]:
    """Say when the attack was blind, so that rounding is not mistaken for a defence."""
    found = [point.measured.masking for point in theft.curve if point.measured and point.measured.masking]
    if not found:
        return []
    last = found[-1]
    if not last.is_blind:
        return []
    known = "no measurable correlation" if last.correlation is None else f"a correlation of only {last.correlation:.2f}"
    return [
        f"The attack was blind: its finite differences (epsilon {last.epsilon:g}) have {known} with the victim's "
        f"gradient and {percent(last.zero_share)} of them are zero. What it missed may not be due to the "
        "victim's training: compare with a larger --epsilon, with --simulated, or with an attack without finite "
        "differences (--attack disguide)."
    ]
