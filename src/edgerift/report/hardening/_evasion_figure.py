"""The trade-off of a hardening against evasion: evasive images against coverage and against accuracy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from edgerift.harden import EvasionHardening, MeansPart, TrialPart
from edgerift.report.shared._plots import SOFT_INK, WIDTH, Look, label, legend, mark_key, new_figure, palette, whiskers
from edgerift.report.shared._words import levels, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LIMIT: Final = (0, (1, 1.6))


def draw_evasion_hardening(found: EvasionHardening) -> Figure:
    """Draw a row for each epsilon: the evasive rate of each of the means by coverage, and by accuracy."""
    epsilons = [one.epsilon for one in found.tried[0].trials[0].reach]
    look = palette([part.title for part in found.tried])
    figure, axes = new_figure(WIDTH, 0.7 + 2.3 * len(epsilons), len(epsilons), 2)
    for row, epsilon in enumerate(epsilons):
        for one, (name, value) in zip(axes[2 * row : 2 * row + 2], _AXES.items(), strict=True):
            label(one, f"Within {levels(epsilon)}", name, "evasive (%)")
            for part in found.tried:
                _curve(one, part, epsilon, value, look[part.title])
            one.axhline(100 * found.evasive, color=SOFT_INK, linewidth=1.1, linestyle=_LIMIT, zorder=1)
            one.margins(x=0.05, y=0.08)
    legend(figure, _keys(look), loc="outside lower left", ncols=4)
    return figure


def evasion_hardening_words(found: EvasionHardening) -> str:
    """Say what the picture shows, for those who do not see it."""
    least = {part.title: min(trial.at(found.epsilon).value for trial in part.trials) for part in found.tried}
    told = ", ".join(f"{title} {percent(value)}" for title, value in least.items())
    return f"The lowest evasive rate of each at epsilon {found.epsilon}: {told}."


_AXES: Final[dict[str, Callable[[TrialPart], float]]] = {
    "answered (%)": lambda trial: 100 * trial.coverage.value,
    "right among the answered (%)": lambda trial: 100 * trial.accuracy.value,
}


def _curve(axes: Axes, part: MeansPart, epsilon: int, place: Callable[[TrialPart], float], look: Look) -> None:
    points = [(place(trial), *whiskers(trial.at(epsilon))) for trial in part.trials]
    axes.plot([x for x, *_ in points], [y for _, y, *_ in points], color=look.colour, linewidth=1.3, zorder=2)
    for x, y, below, above in points:
        axes.errorbar(
            x, y, yerr=[[below], [above]], color=look.colour, marker=look.marker, markersize=look.size - 1,
            elinewidth=1.1, zorder=3,
        )  # fmt: skip


def _keys(look: dict[str, Look]) -> list[Any]:
    from matplotlib.lines import Line2D

    names = [mark_key(one, name) for name, one in look.items()]
    return [*names, Line2D([], [], linestyle=_LIMIT, color=SOFT_INK, linewidth=1.1, label="most that is allowed")]
