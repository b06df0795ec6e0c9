"""Thefts without images over epsilon: what the clones got, and what the finite differences were worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from edgerift.harden import DataFreeEntry
from edgerift.measure import spread
from edgerift.report.figures._panels import line_key, panel_figure, panel_label, subject
from edgerift.report.figures._seeds import Measured, in_percent, mark, over_seeds, seed_counts, whisker_key
from edgerift.report.records._datafree import ATTACKS, DataFreeThefts, Place, Theft, victim_title
from edgerift.report.shared._plot_scales import strengths
from edgerift.report.shared._plots import SOFT_INK, Look, looks, mark_key
from edgerift.report.shared._words import percent
from edgerift.study import StudyResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GUESSING: Final = (0, (1, 1.6))
#: The attacks without differences, as lines across.
_ACROSS: Final[dict[str, Any]] = {"disguide": (0, (6, 2)), "disguide-hard": (0, (6, 2, 1, 2))}
_DASHES: Final = (0, (4, 2))
#: By which factor marks of two victims at one epsilon stand apart.
_APART: Final = 1.09
_MOST_TICKS: Final = 7


def has_epsilon(result: StudyResult) -> bool:
    """Tell whether any attack with finite differences was tried."""
    return bool(_shown(result))


def draw_epsilon(result: StudyResult) -> Figure:
    """Draw for each attack the clones' error over epsilon, and beside it what the differences were worth."""
    shown = _shown(result)
    look = looks(_victims(shown))
    figure, axes = panel_figure(2 * len(shown), 2, 2.6, _keys(result, shown, look))
    for number, (place, attack) in enumerate(shown):
        errors, worth = axes[2 * number : 2 * number + 2]
        title = f"{subject(result, place.data, place.original)}: {ATTACKS[attack]}"
        panel_label(errors, title, "epsilon", "the clone's wrong answers (%)", 2)
        panel_label(worth, f"{title}, its differences", "epsilon", "correlation, share", 2)
        _errors(errors, place, attack, look)
        _guessing(errors, result, place)
        errors.margins(y=0.08)
        _worth(worth, place, attack, look)
        for one in (errors, worth):
            _epsilons(one, [theft.epsilon for theft in place.thefts() if theft.attack == attack and theft.epsilon])
    return figure


def epsilon_words(result: StudyResult) -> str:
    """Give every clone's error, and what the differences were worth."""
    told = []
    for place, attack in _shown(result):
        for theft in place.thefts():
            if theft.attack == attack:
                entries = list(place.entries(theft).values())
                error = over_seeds([entry.theft.adversary_error for entry in entries])
                told.append(
                    f"{subject(result, place.data, place.original)}, {theft.victim}, {theft.name}: "
                    f"error {percent(error.value)}{_worth_words(entries)}"
                )
    for place in _places(result):
        for theft in _without_differences(place):
            error = over_seeds(list(place.errors(theft).values()))
            told.append(
                f"{subject(result, place.data, place.original)}, {theft.victim}, {theft.name}: "
                f"error {percent(error.value)}"
            )
    return f"{'; '.join(told)}."


def guessing(result: StudyResult, place: Place) -> float | None:
    """How often who guesses errs, a share; None where nobody compared victims, who would know the classes."""
    found = (cell.hardening.data.classes for cell in result.thefts if cell.data == place.data)
    classes = next(found, None)
    return None if classes is None else 1 - 1 / len(classes)


def mean_correlation(entries: Sequence[DataFreeEntry]) -> float | None:
    """Average the correlation of differences and slopes; None where there is none."""
    found = [one.masking.correlation for one in entries if one.masking is not None]
    known = [value for value in found if value is not None]
    return spread(known).value if known else None


def mean_zero(entries: Sequence[DataFreeEntry]) -> float | None:
    """Average the share of differences that are zero; None where none were taken."""
    known = [one.zero_share for one in entries if one.zero_share is not None]
    return spread(known).value if known else None


def _places(result: StudyResult) -> list[Place]:
    shown = list(dict.fromkeys((place.data, place.original) for place, _ in _shown(result)))
    return [place for place in DataFreeThefts(result).all() if (place.data, place.original) in shown]


def _shown(result: StudyResult) -> list[tuple[Place, str]]:
    """List the panels: the attacks of each place that take differences."""
    return [
        (place, attack)
        for place in DataFreeThefts(result).all()
        for attack in place.attacks
        if any(place.epsilons(attack, victim) for victim in place.victims)
    ]


def _victims(shown: Sequence[tuple[Place, str]]) -> list[str]:
    return list(dict.fromkeys(victim for place, _ in shown for victim in place.victims))


def _without_differences(place: Place) -> list[Theft]:
    """List the thefts that stand as lines across: as they are, without differences."""
    return [one for one in place.thefts() if one.epsilon is None and one.control is None]


def _errors(axes: Axes, place: Place, attack: str, look: dict[str, Look]) -> None:
    for theft in _without_differences(place):
        value = 100 * over_seeds(list(place.errors(theft).values())).value
        style = _ACROSS.get(theft.attack, _DASHES)
        axes.axhline(value, color=look[theft.victim].colour, linestyle=style, linewidth=1.1, alpha=0.75, zorder=1)
    for number, victim in enumerate(place.victims):
        points: list[tuple[float, Measured]] = []
        for theft in (one for one in place.thefts() if (one.attack, one.victim) == (attack, victim)):
            found = in_percent(over_seeds(list(place.errors(theft).values())))
            assert theft.epsilon is not None
            at = theft.epsilon * _apart(number, place)
            mark(axes, at, found, look[victim], hollow=theft.control is not None, size=6)
            points += [(at, found)] if theft.control is None else []
        axes.plot(
            [at for at, _ in points], [found.value for _, found in points], color=look[victim].colour, linewidth=1.4
        )


def _guessing(axes: Axes, result: StudyResult, place: Place) -> None:
    share = guessing(result, place)
    if share is not None:
        axes.axhline(100 * share, color=SOFT_INK, linestyle=GUESSING, linewidth=1.2, zorder=1)


def _worth(axes: Axes, place: Place, attack: str, look: dict[str, Look]) -> None:
    """Draw the correlation with the slopes as full lines and marks, the share of zeros dashed and hollow."""
    for number, victim in enumerate(place.victims):
        thefts = [Theft(attack, victim, epsilon) for epsilon in place.epsilons(attack, victim)]
        entries = {theft.epsilon: list(place.entries(theft).values()) for theft in thefts}
        for measure, style, hollow in ((mean_correlation, "-", False), (mean_zero, _DASHES, True)):
            points = [
                (epsilon * _apart(number, place), value)
                for epsilon, own in entries.items()
                if epsilon is not None and (value := measure(own)) is not None
            ]
            own_look = look[victim]
            axes.plot(
                [at for at, _ in points], [value for _, value in points], color=own_look.colour, linestyle=style,
                linewidth=1.3, marker=own_look.marker, markersize=5, markerfacecolor="white" if hollow else None,
            )  # fmt: skip
    axes.axhline(0, color=SOFT_INK, linewidth=0.8, zorder=1)
    axes.set_ylim(min(-0.09, axes.get_ylim()[0]), 1.06)


def _apart(number: int, place: Place) -> float:
    """By how much the marks of a victim stand beside their epsilon."""
    return float(_APART ** (number - (len(place.victims) - 1) / 2))


def _epsilons(axes: Axes, values: Sequence[float]) -> None:
    """Mark the epsilons that were tried."""
    from matplotlib.ticker import FixedLocator

    known = sorted(set(values))
    strengths(axes, known)
    axes.set_xlim(0.6 * known[0], 1.7 * known[-1])
    if len(known) <= _MOST_TICKS:
        axes.xaxis.set_major_locator(FixedLocator(known))


def _worth_words(entries: Sequence[DataFreeEntry]) -> str:
    correlation, zero = mean_correlation(entries), mean_zero(entries)
    parts = [] if zero is None else [f"{percent(zero)} of its differences zero"]
    parts += [] if correlation is None else [f"correlation with the slopes {correlation:.2f}"]
    return f" ({', '.join(parts)})" if parts else ""


def _keys(result: StudyResult, shown: Sequence[tuple[Place, str]], look: dict[str, Look]) -> list[Any]:
    keys = [mark_key(one, victim_title(result, name)) for name, one in look.items()]
    thefts = [theft for place, _ in shown for theft in place.thefts()]
    if any(one.control is not None and one.epsilon is not None for one in thefts):
        keys.append(line_key("hollow: control", linestyle="", marker="o", markersize=6, markerfacecolor="white"))
    for attack in dict.fromkeys(one.attack for one in thefts if one.epsilon is None):
        keys.append(line_key(ATTACKS[attack], linestyle=_ACROSS.get(attack, _DASHES), linewidth=1.1))
    if any(guessing(result, place) is not None for place, _ in shown):
        keys.append(line_key("guessing", linestyle=GUESSING, linewidth=1.2))
    keys.append(line_key("correlation with the slopes", marker="o", markersize=5))
    shared: dict[str, Any] = {"marker": "o", "markersize": 5, "markerfacecolor": "white"}
    keys.append(line_key("share of differences that are zero", linestyle=_DASHES, **shared))
    return [*keys, whisker_key(seed_counts(result.data_free))]
