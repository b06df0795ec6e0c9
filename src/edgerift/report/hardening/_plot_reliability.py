"""Reliability diagrams: confidence and accuracy of the answers."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from edgerift.measure import ReliabilityBin
from edgerift.report.shared._plots import INK, SOFT_INK, WIDTH, Look, new_figure, png, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS: Final = 4
_LARGEST: Final = 110.0
_SMALLEST: Final = 10.0
_TITLE: Final = 24
_LEAST: Final = 4.4
_TICKS: Final = (0, 25, 50, 75, 100)


class Reliability(NamedTuple):
    """The bins of one victim's answers, its name, how it looks, and the expected calibration error in [0, 1]."""

    title: str
    look: Look
    bins: Sequence[ReliabilityBin]
    calibration_error: float


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Compute the expected calibration error that bins show; 0 without images.

    >>> calibration_error([ReliabilityBin(3, 0.9, 1.0), ReliabilityBin(1, 0.5, 0.0)])
    0.2
    """
    images = sum(one.images for one in bins)
    gaps = sum(one.images * abs(one.confidence - one.accuracy) for one in bins)
    return round(gaps / images, 12) if images else 0.0


def reliability_png(shown: Sequence[Reliability]) -> bytes:
    """Draw accuracy over confidence, a panel for each.

    A dot's area grows with the images it stands for; its line is how far sure and right are apart.
    """
    columns = min(_COLUMNS, max(1, len(shown)))
    rows = -(-len(shown) // columns) or 1
    figure, axes = new_figure(
        max(_LEAST, WIDTH * columns / _COLUMNS), 0.6 + 2.6 * rows, rows, columns, sharex=True, sharey=True
    )
    for one, panel in zip(axes, shown, strict=False):
        _panel(one, panel)
    for one in axes[len(shown) :]:
        one.set_visible(False)
    for place, one in enumerate(axes[: len(shown)]):
        if place + columns >= len(shown):
            one.tick_params(labelbottom=True)
    figure.supxlabel("how sure the answers are: the highest probability (%)", fontsize=8.5, color=SOFT_INK)
    figure.supylabel("how many are right (%)", fontsize=8.5, color=SOFT_INK)
    return png(figure)


def _panel(axes: Axes, shown: Reliability) -> None:
    title = "\n".join(textwrap.wrap(shown.title, _TITLE, max_lines=2, placeholder=" …"))
    axes.set_title(written(title), loc="left", fontsize=9, fontweight="bold", color=INK, pad=20)
    axes.plot([0, 100], [0, 100], color="#b9bbb5", linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    filled = [one for one in shown.bins if one.images]
    most = max((one.images for one in filled), default=1)
    sure = [100 * one.confidence for one in filled]
    right = [100 * one.accuracy for one in filled]
    axes.vlines(sure, sure, right, color=shown.look.colour, linewidth=1.4, alpha=0.45, zorder=2)
    sizes = [_SMALLEST + _LARGEST * one.images / most for one in filled]
    dots = axes.scatter(sure, right, s=sizes, color=shown.look.colour, edgecolors="white", linewidths=0.8, zorder=3)
    dots.set_label(f"ECE {100 * shown.calibration_error:.1f} %")
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.0), frameon=False, fontsize=8.5, labelcolor=SOFT_INK,
        handlelength=0.9, handletextpad=0.4, scatteryoffsets=[0.5], borderpad=0.2, borderaxespad=0.15,
    )  # fmt: skip
    axes.set(xlim=(0, 104), ylim=(-4, 106), xticks=_TICKS, yticks=_TICKS, aspect="equal")
