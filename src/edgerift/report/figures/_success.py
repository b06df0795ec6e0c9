"""How often attacks succeed: the rates with their intervals, and how they grow with the attacker's effort."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from edgerift.facts import ADAPTATIONS, FLOATS, Facts, pooled
from edgerift.facts import readings as of
from edgerift.report.figures._panels import (
    absent,
    columns_of,
    line_key,
    name_ticks,
    panel_figure,
    panel_label,
    panels,
)
from edgerift.report.figures._registry import Chart, study_figure
from edgerift.report.figures._seeds import mark, pair_counts, share_words, whisker_key, whisker_words
from edgerift.report.shared._plot_scales import whole_numbers
from edgerift.report.shared._plots import GRID, Look, mark_key, palette
from edgerift.report.shared._study import attack_titles, drawn_attacks
from edgerift.report.shared._words import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH: Final = 0.72


@study_figure(
    "success",
    20,
    "Success of the attacks",
    "The share of the attacked images that the original still gets right and the build gets wrong, at any step "
    "of the attack (filled) and at its last (hollow). Grey: the same attacks against the original and a float "
    "model, where nothing is quantized.",
    place="evasion",
    beside="success",
    whiskers=pair_counts,
)
def success(found: Facts) -> Chart | None:
    """Draw the rates."""
    return Chart(draw_success, success_words) if found.of(of.EVASIVE) else None


@study_figure(
    "cumulative",
    30,
    "Success over effort",
    "The share of evasive images by gradient calls per image. Thick lines are means over the seeds.",
    place="evasion",
    beside="success",
)
def cumulative(found: Facts) -> Chart | None:
    """Draw how the rates grow."""
    return Chart(draw_cumulative, cumulative_words) if found.of(of.EVASIVE) else None


def draw_success(found: Facts) -> Figure:
    """Draw each attack's rate for each adaptation, a panel for each data set and original."""
    shown, names = panels(found.of(*_DRAWN)), _adaptations(found)
    look = palette(drawn_attacks(found))
    columns = columns_of(found.study, len(shown))
    figure, axes = panel_figure(len(shown), columns, 2.5, _keys(found, look), sharey=True)
    for number, (one, panel) in enumerate(zip(axes, shown, strict=True)):
        panel_label(one, panel.title, "", "" if number % columns else "evasive images (%)", columns, shared=True)
        known = panel.facts.by("victim")
        for place, name in enumerate(names):
            if name in FLOATS:
                one.axvspan(place - 0.5, place + 0.5, color=GRID, alpha=0.5, linewidth=0, zorder=0)
            if name not in known:
                absent(one, place)
                continue
            step = _WIDTH / len(look)
            for order, (attack, part_look) in enumerate(look.items()):
                at = place + step * (order - (len(look) - 1) / 2)
                _mark(one, at, 0.22 * step, known[name].where(attack=attack), part_look)
        name_ticks(one, [ADAPTATIONS[name] for name in names], columns)
        one.set_xlim(-0.5, len(names) - 0.5)
        one.grid(visible=False, axis="x")
    axes[0].set_ylim(bottom=0)
    return figure


def success_words(found: Facts) -> str:
    """Give every rate."""
    titles = attack_titles(found.study, drawn_attacks(found))
    told = []
    for panel in panels(found.of(*_DRAWN)):
        own = panel.facts.by("victim", "attack")
        for name in _adaptations(found):
            rates = [f"{titles[attack]} {_rate(own[name, attack])}" for attack in titles if (name, attack) in own]
            if rates:
                told.append(f"{panel.title}, {ADAPTATIONS[name]}: {', '.join(rates)}")
    return f"{'; '.join(told)}. In brackets: {whisker_words(pair_counts(found))}."


def draw_cumulative(found: Facts) -> Figure:
    """Draw the evasive share over gradient calls: a row for each data set and original, a column an adaptation."""
    shown, names = panels(found.of(*_DRAWN)), _adaptations(found)
    look = palette(drawn_attacks(found))
    columns, several = len(names), max(pair_counts(found)) > 1
    keys = _curve_keys(found, look, several=several)
    figure, axes = panel_figure(len(shown) * columns, columns, 2.1, keys, sharey=True)
    for number, one in enumerate(axes):
        panel, name = shown[number // columns], names[number % columns]
        x = "gradient calls" if number // columns == len(shown) - 1 else ""
        y = "" if number % columns else "evasive images (%)"
        panel_label(one, f"{panel.title}: {ADAPTATIONS[name]}", x, y, columns, shared=True)
        own = panel.facts.where(victim=name)
        for attack, part_look in look.items():
            _curves(one, cumulative_shares(own.of(of.CUMULATIVE, attack=attack)), part_look)
        if not own:
            absent(one, 0.5)
            one.set_xticks([])
            continue
        whole_numbers(one)
    axes[0].set_ylim(bottom=0)
    return figure


def cumulative_words(found: Facts) -> str:
    """Give each curve's share after a quarter, half and all of the calls."""
    titles = attack_titles(found.study, drawn_attacks(found))
    told = []
    for panel in panels(found.of(of.CUMULATIVE)):
        own = panel.facts.by("victim", "attack")
        for name in _adaptations(found):
            for attack, title in titles.items():
                curves = cumulative_shares(own.get((name, attack), Facts(found.result, ())))
                if curves:
                    told.append(f"{panel.title}, {ADAPTATIONS[name]}, {title}: {_growth(_means(curves))}")
    return "; ".join(told) + "."


def cumulative_shares(found: Facts) -> list[list[float]]:
    """Give each seed's evasive shares in percent after 0, 1, 2, ... calls, all as long as the longest."""
    curves = [[100 * fact.value for fact in own if fact.count] for own in found.by("seed").values()]
    longest = max(map(len, curves), default=0)
    return [[*curve, *curve[-1:] * (longest - len(curve))] for curve in curves if curve]


#: What panels are made of.
_DRAWN: Final = (of.ADAPTED_ACCURACY, of.EVASIVE, of.EVASIVE_LAST, of.CUMULATIVE)


def _adaptations(found: Facts) -> list[str]:
    known = found.of(of.ADAPTED_ACCURACY).distinct("victim")
    return [name for name in ADAPTATIONS if name in known]


def _mark(axes: Axes, place: float, apart: float, found: Facts, look: Look) -> None:
    own, last = found.of(of.EVASIVE), pooled(found.of(of.EVASIVE_LAST))
    rate = pooled(own)
    if rate is None:
        return
    at = place - (0.0 if last is None else apart)
    mark(axes, at, rate.times(100), look, size=5)
    if len(own) > 1:
        seeds = [100 * fact.value for fact in own]
        axes.plot([at] * len(seeds), seeds, "_", color=look.colour, markersize=7, markeredgewidth=0.9, zorder=2)
    if last is not None:
        mark(axes, place + apart, last.times(100), look, hollow=True, size=4)


def _rate(found: Facts) -> str:
    rate, last = pooled(found.of(of.EVASIVE)), pooled(found.of(of.EVASIVE_LAST))
    assert rate is not None
    return share_words(rate) + ("" if last is None else f", {percent(last.value)} at the last step")


def _keys(found: Facts, look: dict[str, Look]) -> list[Any]:
    titles, counts = attack_titles(found.study, look), pair_counts(found)
    keys = [mark_key(part_look, titles[attack]) for attack, part_look in look.items()]
    if found.of(of.EVASIVE_LAST):
        keys.append(line_key("hollow: at the last step", linestyle="", marker="o", markerfacecolor="white"))
    if max(counts) > 1:
        keys.append(line_key("single seeds", linestyle="", marker="_", markersize=7, markeredgewidth=0.9))
    return [*keys, whisker_key(counts)]


def _curve_keys(found: Facts, look: dict[str, Look], *, several: bool) -> list[Any]:
    titles = attack_titles(found.study, look)
    keys = [line_key(titles[attack], part_look.colour, linewidth=1.6) for attack, part_look in look.items()]
    return [*keys, line_key("thin: single seeds", linewidth=0.6, alpha=0.5)] if several else keys


def _curves(axes: Axes, curves: Sequence[Sequence[float]], look: Look) -> None:
    if len(curves) > 1:
        for curve in curves:
            axes.plot(curve, color=look.colour, linewidth=0.6, alpha=0.4, drawstyle="steps-post", zorder=2)
    if curves:
        axes.plot(_means(curves), color=look.colour, linewidth=1.6, drawstyle="steps-post", zorder=3)


def _means(curves: Sequence[Sequence[float]]) -> list[float]:
    return [sum(values) / len(values) for values in zip(*curves, strict=True)]


def _growth(curve: Sequence[float]) -> str:
    calls = sorted({round((len(curve) - 1) * part) for part in (0.25, 0.5, 1.0)})
    return ", ".join(f"{percent(curve[call] / 100)} after {call}" for call in calls)
