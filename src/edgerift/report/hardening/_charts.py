"""The pictures of a comparison, and those of a sweep of defences."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgerift.facts import single
from edgerift.harden import Defending, Hardening
from edgerift.report.figures._alpha import draw_alpha
from edgerift.report.figures._tradeoff import draw_tradeoff
from edgerift.report.hardening._plot_reliability import Reliability, calibration_error, reliability_png
from edgerift.report.hardening._plot_sweep import sweep_png
from edgerift.report.shared._plots import UNDEFENDED, looks, palette, png
from edgerift.steps import write_whole

TRADEOFF: Final = "tradeoff.png"
ALPHA: Final = "alpha.png"
RELIABILITY: Final = "reliability.png"
SWEEP: Final = "sweep.png"


def has_alphas(hardening: Hardening) -> bool:
    """Return whether there is anything to draw over alpha."""
    return "divqat" in hardening.searches or bool(hardening.alphas)


def hardening_charts(hardening: Hardening, folder: Path) -> None:
    """Draw a comparison into a folder: `tradeoff.png`, `reliability.png`, and `alpha.png` and `sweep.png` where known.

    The same comparison gives the same bytes. Raises `StoreError` when a file cannot be written.
    """
    look = looks(tuple(hardening.victim))
    shown = [
        Reliability(part.title, look[name], part.reliability, part.calibration_error)
        for name, part in hardening.victim.items()
    ]
    found = single(hardening)
    write_whole(folder / TRADEOFF, png(draw_tradeoff(found)))
    write_whole(folder / RELIABILITY, reliability_png(shown))
    if has_alphas(hardening):
        write_whole(folder / ALPHA, png(draw_alpha(found)))
    if hardening.sweeps:
        write_whole(folder / SWEEP, sweep_png(hardening.sweeps, hardening.allowance.l1))


def defending_charts(swept: Defending, folder: Path) -> None:
    """Draw a sweep of defences into a folder: `sweep.png` and `reliability.png`."""
    look = palette(tuple(swept.sweeps))
    shown = [
        Reliability(name, look.get(name, UNDEFENDED), bins, calibration_error(bins))
        for name, bins in swept.reliability.items()
    ]
    write_whole(folder / SWEEP, sweep_png(swept.sweeps, swept.budget_l1))
    write_whole(folder / RELIABILITY, reliability_png(shown))
