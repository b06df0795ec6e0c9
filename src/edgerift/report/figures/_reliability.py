"""Reliability diagrams: confidence and accuracy of the answers."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from edgerift.facts import Facts
from edgerift.measure import ReliabilityBin
from edgerift.report.figures._registry import Chart, study_figure
from edgerift.report.shared._comparisons import lone
from edgerift.report.shared._plots import INK, SOFT_INK, WIDTH, Look, looks, new_figure, written
from edgerift.report.shared._words import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS: Final = 4
_LARGEST: Final = 110.0
_SMALLEST: Final = 10.0
_TITLE: Final = 24
_LEAST: Final = 4.4
_TICKS: Final = (0, 25, 50, 75, 100)


class Reliability(NamedTuple):
    """The bins of one victim's answers, its name, and how it looks."""

    title: str
    look: Look
    bins: Sequence[ReliabilityBin]


@study_figure(
    "reliability",
    75,
    "Confidence and accuracy of the answers",
    "The cost of a defence to users who rely on the probabilities: on the dashed line, confidence equals accuracy. "
    "Test images in 15 bins of the highest probability; a dot's area grows with the images it stands for. ECE: "
    "expected calibration error.",
    place="theft",
    beside="answers",
)
def reliability(found: Facts) -> Chart | None:
    """Draw the calibration of every victim of a lone comparison."""
    hardening = lone(found)
    if hardening is None:
        return None
    look = looks(tuple(hardening.victim))
    shown = [Reliability(part.title, look[name], part.reliability) for name, part in hardening.victim.items()]
    return Chart(lambda _: draw_reliability(shown), lambda _: reliability_words(shown))


def reliability_words(shown: Sequence[Reliability]) -> str:
    """Give each victim's calibration error."""
    errors = (f"{one.title} {percent(calibration_error(one.bins))}" for one in shown)
    return f"Expected calibration errors: {'; '.join(errors)}."


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Compute the expected calibration error that bins show; 0 without images.

    >>> calibration_error([ReliabilityBin(3, 0.9, 1.0), ReliabilityBin(1, 0.5, 0.0)])
    0.2
    """
    images = sum(one.images for one in bins)
    gaps = sum(one.images * abs(one.confidence - one.accuracy) for one in bins)
    return round(gaps / images, 12) if images else 0.0


def draw_reliability(shown: Sequence[Reliability]) -> Figure:
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
    figure.supxlabel("confidence: the highest probability (%)", fontsize=8.5, color=SOFT_INK)
    figure.supylabel("accuracy (%)", fontsize=8.5, color=SOFT_INK)
    return figure


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
    dots.set_label(f"ECE {100 * calibration_error(shown.bins):.1f} %")
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.0), frameon=False, fontsize=8.5, labelcolor=SOFT_INK,
        handlelength=0.9, handletextpad=0.4, scatteryoffsets=[0.5], borderpad=0.2, borderaxespad=0.15,
    )  # fmt: skip
    axes.set(xlim=(0, 104), ylim=(-4, 106), xticks=_TICKS, yticks=_TICKS, aspect="equal")
