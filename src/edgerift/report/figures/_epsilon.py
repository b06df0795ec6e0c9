"""Data-free extraction over epsilon: the clones' error, and the quality of the finite differences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final

from edgerift.facts import ATTACKS, Facts, Pooled, Theft, Thefts, data_free_places, pooled
from edgerift.facts import readings as of
from edgerift.harden import published_epsilon
from edgerift.report.figures._panels import line_key, panel_figure, panel_label
from edgerift.report.figures._registry import Chart, study_figure
from edgerift.report.figures._seeds import data_free_counts, mark, whisker_key
from edgerift.report.shared._comparisons import victim_title
from edgerift.report.shared._plot_scales import strengths
from edgerift.report.shared._plots import SOFT_INK, Look, looks, mark_key
from edgerift.report.shared._study import subject
from edgerift.report.shared._words import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GUESSING: Final = (0, (1, 1.6))
#: The lines across, of the attacks without differences.
_ACROSS: Final = ((0, (6, 2)), (0, (6, 2, 1, 2)), (0, (2, 2)), (0, (9, 3)))
_DASHES: Final = (0, (4, 2))
#: By which factor marks of two victims at one epsilon stand apart.
_APART: Final = 1.09
_MOST_TICKS: Final = 7


@study_figure(
    "epsilon",
    110,
    "Data-free extraction over epsilon",
    "The clones' error over the step size epsilon of the attack's finite differences, and beside it their quality: the "
    "share that is zero because the victim's answer did not change, and their correlation with the victim's true "
    "gradient, which no attack sees. Where the correlation is near zero the attack is blind, and its failure need not "
    "be due to the training. Hollow: the same without rounding (a build's weights in float) or with more of "
    "it (a float victim's images in whole grey levels). Lines across: attacks that take no differences. Marks of "
    "one epsilon stand side by side.",
    place="theft",
    beside="data-free",
    whiskers=data_free_counts,
)
def epsilon(found: Facts) -> Chart | None:
    """Draw the attacks with finite differences."""
    return Chart(draw_epsilon, epsilon_words) if _shown(found) else None


def draw_epsilon(found: Facts) -> Figure:
    """Draw for each attack the clones' error over epsilon, and beside it the quality of the differences."""
    shown = _shown(found)
    look = looks(list(dict.fromkeys(victim for place, _ in shown for victim in place.victims)))
    figure, axes = panel_figure(2 * len(shown), 2, 2.6, _keys(found, shown, look))
    for number, (place, attack) in enumerate(shown):
        errors, worth = axes[2 * number : 2 * number + 2]
        title = f"{subject(found.study, place.data, place.original)}: {ATTACKS[attack]}"
        panel_label(errors, title, "epsilon", "the clone's wrong answers (%)", 2)
        panel_label(worth, f"{title}, its differences", "epsilon", "correlation, share", 2)
        _errors(errors, place, attack, look)
        draw_guessing(errors, found, place)
        errors.margins(y=0.08)
        _worth(worth, place, attack, look)
        for one in (errors, worth):
            _epsilons(one, [theft.epsilon for theft in place.all() if theft.attack == attack and theft.epsilon])
    return figure


def epsilon_words(found: Facts) -> str:
    """Give every clone's error, and the quality of the differences."""
    shown, told = _shown(found), []
    for place, attack in shown:
        for theft in place.all():
            if theft.attack == attack:
                told.append(f"{_told(found, place, theft)}{_worth_words(place.of(theft))}")
    for place in dict.fromkeys(place for place, _ in shown):
        told += [_told(found, place, theft) for theft in _without_differences(place)]
    return f"{'; '.join(told)}."


def _told(found: Facts, place: Thefts, theft: Theft) -> str:
    where = subject(found.study, place.data, place.original)
    return f"{where}, {theft.victim}, {theft.name}: error {percent(_error(place, theft).value)}"


def guessing(found: Facts, place: Thefts) -> float | None:
    """The error at chance, a share; None without a comparison of victims, which knows the classes."""
    return next((fact.value for fact in found.of(of.CHANCE, data=place.data)), None)


def draw_guessing(axes: Axes, found: Facts, place: Thefts) -> None:
    """Draw a horizontal line at the error of chance."""
    share = guessing(found, place)
    if share is not None:
        axes.axhline(100 * share, color=SOFT_INK, linestyle=GUESSING, linewidth=1.2, zorder=1)


def _error(place: Thefts, theft: Theft) -> Pooled:
    whole = pooled(place.of(theft).of(of.DATA_FREE_ERROR))
    assert whole is not None
    return whole


def _shown(found: Facts) -> list[tuple[Thefts, str]]:
    """List the panels: the attacks of each place that take differences."""
    return [
        (place, attack)
        for place in data_free_places(found)
        for attack in place.attacks
        if any(place.epsilons(attack, victim) for victim in place.victims)
    ]


def _without_differences(place: Thefts) -> list[Theft]:
    """List the attacks drawn as horizontal lines: no controls, without differences."""
    return [one for one in place.all() if one.epsilon is None and one.control is None]


def _across(place: Thefts) -> dict[str, Any]:
    """Give each attack without differences its line: the same one wherever the same attacks are registered."""
    known = [attack for attack in ATTACKS if published_epsilon(attack) is None]
    styles = dict(zip(known, cycle(_ACROSS), strict=False))
    return {one.attack: styles[one.attack] for one in _without_differences(place)}


def _errors(axes: Axes, place: Thefts, attack: str, look: dict[str, Look]) -> None:
    styles = _across(place)
    for theft in _without_differences(place):
        value, style = 100 * _error(place, theft).value, styles[theft.attack]
        axes.axhline(value, color=look[theft.victim].colour, linestyle=style, linewidth=1.1, alpha=0.75, zorder=1)
    for number, victim in enumerate(place.victims):
        points: list[tuple[float, Pooled]] = []
        for theft in (one for one in place.all() if (one.attack, one.victim) == (attack, victim)):
            found = _error(place, theft).times(100)
            assert theft.epsilon is not None
            at = theft.epsilon * _apart(number, place)
            mark(axes, at, found, look[victim], hollow=theft.control is not None, size=6)
            points += [(at, found)] if theft.control is None else []
        axes.plot(
            [at for at, _ in points], [found.value for _, found in points], color=look[victim].colour, linewidth=1.4
        )


def _worth(axes: Axes, place: Thefts, attack: str, look: dict[str, Look]) -> None:
    """Draw the correlation with the slopes as full lines and marks, the share of zeros dashed and hollow."""
    for number, victim in enumerate(place.victims):
        own = place.facts.where(attack=attack, victim=victim, control=None)
        for reading, style, hollow in ((of.CORRELATION, "-", False), (of.ZERO, _DASHES, True)):
            known = own.of(reading).by("epsilon")
            points = [
                (at * _apart(number, place), whole.value)
                for at in place.epsilons(attack, victim)
                if at in known and (whole := pooled(known[at]))
            ]
            own_look = look[victim]
            axes.plot(
                [at for at, _ in points], [value for _, value in points], color=own_look.colour, linestyle=style,
                linewidth=1.3, marker=own_look.marker, markersize=5, markerfacecolor="white" if hollow else None,
            )  # fmt: skip
    axes.axhline(0, color=SOFT_INK, linewidth=0.8, zorder=1)
    axes.set_ylim(min(-0.09, axes.get_ylim()[0]), 1.06)


def _apart(number: int, place: Thefts) -> float:
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


def _worth_words(found: Facts) -> str:
    zero, correlation = pooled(found.of(of.ZERO)), pooled(found.of(of.CORRELATION))
    parts = [] if zero is None else [f"{percent(zero.value)} of its differences zero"]
    parts += [] if correlation is None else [f"correlation with the slopes {correlation.value:.2f}"]
    return f" ({', '.join(parts)})" if parts else ""


def _keys(found: Facts, shown: Sequence[tuple[Thefts, str]], look: dict[str, Look]) -> list[Any]:
    keys = [mark_key(one, victim_title(found, name)) for name, one in look.items()]
    thefts = [theft for place, _ in shown for theft in place.all()]
    if any(one.control is not None and one.epsilon is not None for one in thefts):
        keys.append(line_key("hollow: control", linestyle="", marker="o", markersize=6, markerfacecolor="white"))
    across = {attack: style for place, _ in shown for attack, style in _across(place).items()}
    keys += [line_key(ATTACKS[attack], linestyle=style, linewidth=1.1) for attack, style in across.items()]
    if any(guessing(found, place) is not None for place, _ in shown):
        keys.append(line_key("chance", linestyle=GUESSING, linewidth=1.2))
    keys.append(line_key("correlation with the slopes", marker="o", markersize=5))
    shared: dict[str, Any] = {"marker": "o", "markersize": 5, "markerfacecolor": "white"}
    keys.append(line_key("share of differences that are zero", linestyle=_DASHES, **shared))
    return [*keys, whisker_key(data_free_counts(found))]
