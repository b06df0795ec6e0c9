"""A theft as a person reads it in a terminal."""

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
    """Lay a theft out for rich: figures with intervals, and what they mean; with the folder, where the clone is."""
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
        f"Thief: {thief_words(theft.attack)}; {theft.spent:,} questions about {theft.queries}, of a budget of "
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
        _mean("l1 of the defence, questions", theft.l1_queries),
        _mean("KL(victim || clone), nats", theft.divergence),
        ("Calibration error of the answers", percent(theft.calibration_error), ""),
        ("Negative log-likelihood", f"{theft.negative_log_likelihood:.3f}", ""),
    ]


def _mean(name: str, mean: MeanInterval) -> tuple[str, str, str]:
    return name, f"{mean.value:.3f}", mean_ends(mean)


def _outcome(theft: Theft) -> str:
    return (
        f"For {theft.spent:,} answers the thief has a clone that errs on {percent(theft.adversary_error.value)} of the "
        f"test images, where the victim errs on {percent(theft.defender_error.value)}, and that gives another label "
        f"than the victim on {percent(theft.disagreement.value)}."
    )
