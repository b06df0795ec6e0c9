"""How often attacks succeed: the rates with their intervals, and how they grow with the attacker's effort."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from edgerift.audit import AttackPart
from edgerift.report.figures._panels import (
    ADAPTATIONS,
    Panel,
    absent,
    attack_titles,
    columns_of,
    line_key,
    panel_figure,
    panel_label,
    panels,
)
from edgerift.report.figures._seeds import in_percent, mark, over_seeds, seed_counts, whisker_key, whisker_words
from edgerift.report.shared._plot_scales import whole_numbers
from edgerift.report.shared._plots import GRID, Look, mark_key, palette
from edgerift.report.shared._words import percent
from edgerift.study import PairCell, StudyResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH: Final = 0.72
_CONTROL: Final = "finetune"


def has_success(result: StudyResult) -> bool:
    """Tell whether anything was attacked."""
    return bool(_attacks(result))


def draw_success(result: StudyResult) -> Figure:
    """Draw each attack's rate for each adaptation, a panel for each data set and original."""
    shown = panels(result, result.pairs)
    names = _adaptations(result)
    look = palette(_attacks(result))
    columns = columns_of(result, len(shown))
    figure, axes = panel_figure(len(shown), columns, 2.5, _keys(result, look), sharey=True)
    for number, (one, panel) in enumerate(zip(axes, shown, strict=True)):
        panel_label(one, panel.title, "", "" if number % columns else "evasive images (%)", columns, shared=True)
        for place, name in enumerate(names):
            if name == _CONTROL:
                one.axvspan(place - 0.5, place + 0.5, color=GRID, alpha=0.5, linewidth=0, zorder=0)
            if not any(cell.adaptation == name for cell in panel.cells):
                absent(one, place)
            step = _WIDTH / len(look)
            for order, (attack, part_look) in enumerate(look.items()):
                at = place + step * (order - (len(look) - 1) / 2)
                _mark(one, at, 0.22 * step, parts_of(panel, name, attack), part_look)
        one.set_xticks(range(len(names)), [ADAPTATIONS[name] for name in names])
        one.set_xlim(-0.5, len(names) - 0.5)
        one.grid(visible=False, axis="x")
    axes[0].set_ylim(bottom=0)
    return figure


def success_words(result: StudyResult) -> str:
    """Give every rate."""
    titles = attack_titles(result, _attacks(result))
    told = []
    for panel in panels(result, result.pairs):
        for name in _adaptations(result):
            rates = [
                f"{titles[attack]} {_rate(parts)}" for attack in titles if (parts := parts_of(panel, name, attack))
            ]
            if rates:
                told.append(f"{panel.title}, {ADAPTATIONS[name]}: {', '.join(rates)}")
    return f"{'; '.join(told)}. In brackets: {whisker_words(seed_counts(result.pairs))}."


def draw_cumulative(result: StudyResult) -> Figure:
    """Draw the evasive share over gradient calls: a row for each data set and original, a column an adaptation."""
    shown, names = panels(result, result.pairs), _adaptations(result)
    look = palette(_attacks(result))
    columns = len(names)
    several = max(seed_counts(result.pairs)) > 1
    keys = _curve_keys(result, look, several=several)
    figure, axes = panel_figure(len(shown) * columns, columns, 2.1, keys, sharey=True)
    for number, one in enumerate(axes):
        panel, name = shown[number // columns], names[number % columns]
        x = "gradient calls" if number // columns == len(shown) - 1 else ""
        y = "" if number % columns else "evasive images (%)"
        panel_label(one, f"{panel.title}: {ADAPTATIONS[name]}", x, y, columns, shared=True)
        for attack, part_look in look.items():
            _curves(one, cumulative_shares(parts_of(panel, name, attack)), part_look)
        if not any(cell.adaptation == name for cell in panel.cells):
            absent(one, 0.5)
            one.set_xticks([])
            continue
        whole_numbers(one)
    axes[0].set_ylim(bottom=0)
    return figure


def cumulative_words(result: StudyResult) -> str:
    """Give each curve's share after a quarter, half and all of the calls."""
    titles = attack_titles(result, _attacks(result))
    told = []
    for panel in panels(result, result.pairs):
        for name in _adaptations(result):
            for attack, title in titles.items():
                curves = cumulative_shares(parts_of(panel, name, attack))
                if curves:
                    told.append(f"{panel.title}, {ADAPTATIONS[name]}, {title}: {_growth(_means(curves))}")
    return "; ".join(told) + "."


def parts_of(panel: Panel[PairCell], adaptation: str, attack: str) -> list[AttackPart]:
    """Give what an attack reached, a part for each seed."""
    return [
        cell.report.attacks[attack]
        for cell in panel.cells
        if cell.adaptation == adaptation and attack in cell.report.attacks
    ]


def cumulative_shares(parts: Sequence[AttackPart]) -> list[list[float]]:
    """Give each seed's evasive shares in percent after 0, 1, 2, ... calls, all as long as the longest."""
    counted = [part for part in parts if part.cumulative and part.evasive.trials]
    longest = max((len(part.cumulative) for part in counted), default=0)
    filled = [(part, [*part.cumulative, *part.cumulative[-1:] * (longest - len(part.cumulative))]) for part in counted]
    return [[100 * count / part.evasive.trials for count in counts] for part, counts in filled]


def _attacks(result: StudyResult) -> tuple[str, ...]:
    return tuple(dict.fromkeys(attack for cell in result.pairs for attack in cell.report.attacks))


def _adaptations(result: StudyResult) -> list[str]:
    known = {cell.adaptation for cell in result.pairs}
    return [name for name in ADAPTATIONS if name in known]


def _mark(axes: Axes, place: float, apart: float, parts: Sequence[AttackPart], look: Look) -> None:
    if not parts:
        return
    last = [part.evasive_last for part in parts if part.evasive_last is not None]
    at = place - (apart if last else 0.0)
    mark(axes, at, in_percent(over_seeds([part.evasive for part in parts])), look, size=5)
    if len(parts) > 1:
        seeds = [100 * part.evasive.value for part in parts]
        axes.plot([at] * len(seeds), seeds, "_", color=look.colour, markersize=7, markeredgewidth=0.9, zorder=2)
    if last:
        mark(axes, place + apart, in_percent(over_seeds(last)), look, hollow=True, size=4)


def _rate(parts: Sequence[AttackPart]) -> str:
    found = over_seeds([part.evasive for part in parts])
    last = [part.evasive_last for part in parts if part.evasive_last is not None]
    at_last = f", {percent(over_seeds(last).value)} at the last step" if last else ""
    return f"{percent(found.value)} ({100 * found.low:.1f} to {100 * found.high:.1f}){at_last}"


def _keys(result: StudyResult, look: dict[str, Look]) -> list[Any]:
    titles = attack_titles(result, look)
    keys = [mark_key(part_look, titles[attack]) for attack, part_look in look.items()]
    parts = [part for cell in result.pairs for part in cell.report.attacks.values()]
    if any(part.evasive_last is not None for part in parts):
        keys.append(line_key("hollow: at the last step", linestyle="", marker="o", markerfacecolor="white"))
    if max(seed_counts(result.pairs)) > 1:
        keys.append(line_key("single seeds", linestyle="", marker="_", markersize=7, markeredgewidth=0.9))
    return [*keys, whisker_key(seed_counts(result.pairs))]


def _curve_keys(result: StudyResult, look: dict[str, Look], *, several: bool) -> list[Any]:
    titles = attack_titles(result, look)
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
