"""Names beside the marks of a scatter, none over another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edgerift.report.shared._plots import INK, SOFT_INK, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

#: How near two marks are that one text names, and how much room a mark takes, in dots.
_SAME: Final = 7.0
_ROOM: Final = 7.0
_TEXT: Final = 7.5
#: What it costs when a text seems to be another mark's, in dots of overlap.
_MISTAKEN: Final = 60
_DARKER: Final = 0.7
_FIRST: Final = 6
#: How far names stay apart, in dots, and what a name over a line costs, as a share of lying over as much of a mark.
_APART: Final = 5.0
_OVER_LINE: Final = 0.5
#: Where a name may stand: how far from its mark in points, then in which direction; what is tried first is liked most.
_DISTANCES: Final = (_FIRST, 14, 24, 36, 50)
_DIRECTIONS: Final = ((1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0))
_ACROSS: Final = {1: "left", 0: "center", -1: "right"}
_UP: Final = {1: "bottom", 0: "center", -1: "top"}


class Named(NamedTuple):
    """A mark, its name and its colour."""

    x: float
    y: float
    name: str
    colour: str


class Line(NamedTuple):
    """A whisker: both of its ends, of which one coordinate is the same."""

    start: tuple[float, float]
    end: tuple[float, float]


def name_marks(
    axes: Axes, marks: Sequence[Named], others: Sequence[tuple[float, float]] = (), whiskers: Sequence[Line] = ()
) -> list[str]:
    """Write names beside marks, away from them, from `others` and from `whiskers`; marks at one place share a text.

    The figure has to have its final layout and limits. Gives the texts.
    """
    from matplotlib.transforms import Bbox

    figure = axes.get_figure()
    assert figure is not None
    groups = _grouped(axes, marks)
    places = [_at(axes, place) for place in (*((mark.x, mark.y) for mark in marks), *others)]
    taken = [Bbox.from_bounds(x - _ROOM, y - _ROOM, 2 * _ROOM, 2 * _ROOM) for x, y in places]
    lines = [Bbox([_at(axes, line.start), _at(axes, line.end)]) for line in whiskers]
    for group in groups:
        box = _place(axes, group, taken, lines, places)
        taken.append(Bbox.from_extents(box.x0 - _APART, box.y0 - _APART, box.x1 + _APART, box.y1 + _APART))
    return [_text(group) for group in groups]


def _grouped(axes: Axes, marks: Sequence[Named]) -> list[list[Named]]:
    """Put those marks together that lie over one another."""
    groups: list[list[Named]] = []
    for mark in marks:
        for group in groups:
            if math.dist(_at(axes, mark[:2]), _at(axes, group[0][:2])) < _SAME:
                group.append(mark)
                break
        else:
            groups.append([mark])
    return groups


def _place(
    axes: Axes,
    group: Sequence[Named],
    taken: Sequence[Bbox],
    lines: Sequence[Bbox],
    marks: Sequence[tuple[float, float]],
) -> Bbox:
    """Write the names of a group where they overlap nothing, or the least."""
    best: tuple[float, Any, Bbox, int] | None = None
    for distance in _DISTANCES:
        for across, up in _DIRECTIONS:
            note = _note(axes, group, (across * distance, up * distance))
            box = note.get_window_extent()
            cost = sum(_overlap(box, other) for other in taken) + _outside(box, axes.bbox)
            cost += _OVER_LINE * sum(_crossed(box, line) for line in lines)
            own = _at(axes, group[0][:2])
            cost += _MISTAKEN * (_mistaken(box, own, marks) + (distance > _FIRST) * _passed(own, box, marks))
            if best is not None and cost >= best[0]:
                note.remove()
                continue
            if best is not None:
                best[1].remove()
            best = (cost, note, box, distance)
        if best is not None and best[0] == 0:
            break
    assert best is not None
    if best[3] > _FIRST:
        _line(axes, group[0], best[2])
    return best[2]


def _note(axes: Axes, group: Sequence[Named], offset: tuple[int, int]) -> Any:
    across, up = (1 if part > 0 else -1 if part < 0 else 0 for part in offset)
    note = axes.annotate(
        written(_text(group)), (group[0].x, group[0].y), xytext=offset, textcoords="offset points",
        ha=_ACROSS[across], va=_UP[up], fontsize=_TEXT, color=_tone(group), zorder=5,
        bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.3},
    )  # fmt: skip
    note.set_in_layout(False)
    return note


def _line(axes: Axes, mark: Named, box: Bbox) -> None:
    """Lead from a mark to the nearest point of a text that stands further away."""
    near = axes.transData.inverted().transform(_nearest(box, _at(axes, mark[:2])))
    axes.plot([mark.x, near[0]], [mark.y, near[1]], color=SOFT_INK, linewidth=0.5, zorder=2, scalex=False, scaley=False)


def _text(group: Sequence[Named]) -> str:
    return ", ".join(mark.name for mark in group)


def _tone(group: Sequence[Named]) -> Any:
    """Write a lone name in a dark tone of its mark's colour."""
    from matplotlib.colors import to_rgb

    return tuple(_DARKER * part for part in to_rgb(group[0].colour)) if len(group) == 1 else INK


def _mistaken(box: Bbox, own: tuple[float, float], marks: Sequence[tuple[float, float]]) -> bool:
    """Return whether a text stands nearer to another mark than to its own."""

    def away(place: tuple[float, float]) -> float:
        return math.dist(place, _nearest(box, place))

    return any(away(place) < away(own) for place in marks if math.dist(place, own) >= _SAME)


def _passed(own: tuple[float, float], box: Bbox, marks: Sequence[tuple[float, float]]) -> int:
    """Count the other marks that the line from a mark to its text would lead over."""
    (x, y), (end_x, end_y) = own, _nearest(box, own)
    length = math.dist(own, (end_x, end_y)) or 1.0
    across, up = (end_x - x) / length, (end_y - y) / length
    count = 0
    for place in marks:
        along = (place[0] - x) * across + (place[1] - y) * up
        aside = abs((place[1] - y) * across - (place[0] - x) * up)
        count += 0 < along < length and aside < _ROOM and math.dist(place, own) >= _SAME
    return count


def _nearest(box: Bbox, place: tuple[float, float]) -> tuple[float, float]:
    """Give the point of a text that is nearest to a place."""
    return min(max(place[0], box.x0), box.x1), min(max(place[1], box.y0), box.y1)


def _at(axes: Axes, place: tuple[float, float]) -> tuple[float, float]:
    x, y = axes.transData.transform(place)
    return float(x), float(y)


def _overlap(first: Bbox, second: Bbox) -> float:
    from matplotlib.transforms import Bbox

    shared = Bbox.intersection(first, second)
    return 0.0 if shared is None else float(shared.width * shared.height)


def _crossed(box: Bbox, line: Bbox) -> float:
    """Give the area of a text that a line has on its shorter side."""
    across = min(box.x1, line.xmax) - max(box.x0, line.xmin)
    up = min(box.y1, line.ymax) - max(box.y0, line.ymin)
    return 0.0 if across < 0 or up < 0 else max(across, up) * _ROOM


def _outside(box: Bbox, room: Bbox) -> float:
    return float(box.width * box.height) - _overlap(box, room)
