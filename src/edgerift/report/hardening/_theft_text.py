"""An extraction attack as shown in a terminal."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgerift.extract import Theft
from edgerift.measure import MeanInterval
from edgerift.report.hardening._words import defence_words, mean_ends
from edgerift.report.shared._words import bounds, percent, plain, thief_words


def theft_text(theft: Theft, folder: Path | None = None) -> RenderableType:
    """Lay an extraction attack out for rich: results with intervals; with the folder, where the clone is."""
    table = Table(title=Text(plain(_title(theft))), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("")
    table.add_column("", justify="right")
    table.add_column("95 % interval")
    for row in _rows(theft):
        table.add_row(*map(Text, row))
    lines = [_outcome(theft)] + ([] if folder is None else [f"Clone: {folder / 'clone.safetensors'}"])
    return Group(table, *(Text(plain(line)) for line in lines))


def _title(theft: Theft) -> str:
    defences = " and then ".join(map(defence_words, theft.defences)) or "none"
    return (
        f"Attacker: {thief_words(theft.attack)}; {theft.spent:,} queries from {theft.queries}, of a budget of "
        f"{theft.budget:,}. Defence: {defences}"
    )


def _rows(theft: Theft) -> list[tuple[str, str, str]]:
    best = theft.best_epoch
    return [
        ("Defender's error", percent(theft.defender_error.value), bounds(theft.defender_error)),
        ("Adversary's error", percent(theft.adversary_error.value), bounds(theft.adversary_error)),
        (f"At its best epoch, {best.epoch}", percent(best.error), "chosen on the test images"),
        ("Disagreement", percent(theft.disagreement.value), bounds(theft.disagreement)),
        _mean("l1 of the defence, test images", theft.l1),
        _mean("l1 of the defence, queries", theft.l1_queries),
        _mean("KL(victim || clone), nats", theft.divergence),
        ("Calibration error of the answers", percent(theft.calibration_error), ""),
        ("Negative log-likelihood", f"{theft.negative_log_likelihood:.3f}", ""),
    ]


def _mean(name: str, mean: MeanInterval) -> tuple[str, str, str]:
    return name, f"{mean.value:.3f}", mean_ends(mean)


def _outcome(theft: Theft) -> str:
    return (
        f"With {theft.spent:,} queries the clone reaches a test error of {percent(theft.adversary_error.value)}, "
        f"against {percent(theft.defender_error.value)} of the victim, and disagrees with the victim on "
        f"{percent(theft.disagreement.value)} of the test images."
    )
