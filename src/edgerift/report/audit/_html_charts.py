"""Where the marks of the charts go; the templates draw them.

Horizontal places are in percent of a chart's width, so that a chart fits any screen while its text keeps its size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgerift.audit import ControlPart, EvasionPart, TheftPart
from edgerift.measure import Interval
from edgerift.report.audit._rows import attack_order
from edgerift.report.shared._words import agreed, percent

#: The colours that the style sheet has.
COLOURS = 10
_STEPS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
_MOST_TICKS = 5
_LEAST_CURVE = 0.01
_PATH_SIZE = 1000


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: its place in percent of the axis, and what is written there."""

    place: float
    text: str


@dataclass(frozen=True)
class Whisker:
    """A row of an interval chart: a dot with its interval, in percent of the width."""

    name: str
    colour: int
    interval: Interval
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class IntervalChart:
    """Rates with their intervals over one axis of shares; `level` is the place of a share to compare them with."""

    rows: tuple[Whisker, ...]
    ticks: tuple[Tick, ...]
    level: float | None = None


@dataclass(frozen=True)
class Curve:
    """One attack's curve: an SVG path in a box of 1000 by 1000, and its last value."""

    name: str
    colour: int
    path: str
    end_x: float
    end_y: float
    last: int
    share: float


@dataclass(frozen=True)
class CurveChart:
    """Share of evasive images over gradient calls; `across` and `up` are the axes' ticks, in percent."""

    curves: tuple[Curve, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]


def attack_colours(evasion: EvasionPart) -> dict[str, int]:
    """Give each attack the number of a colour."""
    return {name: number % COLOURS for number, name in enumerate(attack_order(evasion))}


def interval_chart(rows: Iterable[tuple[str, int, Interval]], level: float | None = None) -> IntervalChart:
    """Place named and coloured rates on a common axis that starts at 0, and a level to compare them with."""
    given = list(rows)
    limit, ticks = share_axis([interval.high for _, _, interval in given] + ([] if level is None else [level]))
    scale = 100 / limit
    placed = (
        Whisker(name, colour, one, one.value * scale, one.low * scale, one.high * scale) for name, colour, one in given
    )
    return IntervalChart(tuple(placed), ticks, None if level is None else level * scale)


def attacks_chart(evasion: EvasionPart) -> IntervalChart:
    """Place every attack's evasive rate."""
    colours = attack_colours(evasion)
    return interval_chart((name, colours[name], evasion.attacks[name].evasive) for name in attack_order(evasion))


def control_chart(evasion: EvasionPart, control: ControlPart) -> IntervalChart:
    """Place the main attack's evasive rate on the build beside that on the control."""
    rows = [("Quantized build", 0, evasion.main.evasive), ("Control in float", 7, control.evasive)]
    return interval_chart(rows)


def thieves_chart(theft: TheftPart) -> IntervalChart:
    """Place each attacker's clone-build agreement beside that of a constant prediction."""
    rows = ((name, number % COLOURS, agreed(one)) for number, (name, one) in enumerate(theft.thieves.items()))
    return interval_chart(rows, theft.chance)


def curve_chart(evasion: EvasionPart) -> CurveChart:
    """Draw how many of the attacked images were evasive after each gradient call."""
    colours = attack_colours(evasion)
    shares = {
        name: [count / part.evasive.trials for count in part.cumulative]
        for name, part in ((name, evasion.attacks[name]) for name in attack_order(evasion))
        if part.cumulative
    }
    calls = max([1, *(len(values) - 1 for values in shares.values())])
    limit, up = share_axis([_LEAST_CURVE, *(max(values) for values in shares.values())])
    curves = []
    for name, values in shares.items():
        places = [(_PATH_SIZE * at / calls, _PATH_SIZE * (1 - share / limit)) for at, share in enumerate(values)]
        end_x, end_y = places[-1]
        last = evasion.attacks[name].cumulative[-1]
        curves.append(Curve(name, colours[name], _stairs(places), end_x / 10, end_y / 10, last, values[-1]))
    return CurveChart(tuple(curves), count_axis(calls), up)


def share_axis(shares: Sequence[float]) -> tuple[float, tuple[Tick, ...]]:
    """Choose the end of an axis that starts at 0 and holds all the shares, and its ticks.

    >>> limit, ticks = share_axis([0.031])
    >>> round(limit, 4), [tick.text for tick in ticks]
    (0.04, ['0', '1', '2', '3', '4'])
    """
    largest = max([*shares, _STEPS[0]])
    step = next(step for step in _STEPS if math.ceil(largest / step - 1e-9) <= _MOST_TICKS)
    count = math.ceil(largest / step - 1e-9)
    limit = step * count
    return limit, tuple(Tick(100 * number / count, f"{100 * step * number:g}") for number in range(count + 1))


def count_axis(most: int) -> tuple[Tick, ...]:
    """Choose round ticks for counts from 0 to `most`.

    >>> [tick.text for tick in count_axis(50)]
    ['0', '10', '20', '30', '40', '50']
    """
    rough = 10 ** max(0, math.floor(math.log10(max(1, most))) - 1)
    step = next(rough * factor for factor in (1, 2, 5, 10, 20, 50) if most / (rough * factor) <= _MOST_TICKS)
    return tuple(Tick(100 * number / most, str(number)) for number in range(0, most + 1, step))


def summary(chart: IntervalChart) -> str:
    """Say in words what an interval chart shows, for those who do not see it."""
    rows = (f"{row.name} {percent(row.interval.value)}" for row in chart.rows)
    return "; ".join(rows) + "."


def _stairs(places: Sequence[tuple[float, float]]) -> str:
    (first_x, first_y), *others = places
    return f"M{first_x:.1f} {first_y:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in others)
