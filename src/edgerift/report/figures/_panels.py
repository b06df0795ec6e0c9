"""What the figures of a study share: which panels there are, what they are called, and the keys below them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edgerift.facts import Facts
from edgerift.facts import readings as of
from edgerift.report.shared._plots import INK, SOFT_INK, WIDTH, label, legend, new_figure, written
from edgerift.report.shared._study import networks, subject
from edgerift.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: What captions say where a figure marks such models.
COLLAPSED: Final = "A collapsed model does no better than guessing: nothing measured of it is evidence."

_TITLE: Final = 10
_MOST_LINES: Final = 3
#: How much of a panel's width its title cannot have, in inches.
_BESIDE: Final = 0.68
_BESIDE_SHARED: Final = 0.34
#: How wide a key's sign and the room around it are, and a letter beside it, in inches.
_KEY: Final = 0.62
_LETTER: Final = 0.078
_LONGEST: Final = 44


@dataclass(frozen=True)
class Panel:
    """The facts of one data set and one original; `title` says so, without the original where all have the same."""

    title: str
    data: str
    original: str
    facts: Facts


def panels(found: Facts) -> list[Panel]:
    """Sort facts into panels, in the study's order."""
    own = found.where(source="measured").by("data", "original")
    return [
        Panel(subject(found.study, *place), *place, own[place]) for place in networks(found.where(source="measured"))
    ]


def on_first_target(found: Facts) -> Facts:
    """Select what was measured of the comparisons on the study's first target, where all victims are compared."""
    targets = found.of(of.NOISE).distinct("target") if found.study.theft is None else found.study.theft.targets
    return found.where(source="measured", target=targets[0] if targets else None, attack="")


def panel_figure(
    count: int, columns: int, height: float, keys: Sequence[Any], **options: Any
) -> tuple[Figure, list[Axes]]:
    """Make a figure of `count` panels in the given columns and inches, and a legend of `keys` below them."""
    rows = -(-count // columns)
    key_columns = _key_columns(keys)
    height = 0.35 + 0.19 * -(-len(keys) // key_columns) + height * rows
    figure, axes = new_figure(WIDTH, height, rows, columns, **options)
    for unused in axes[count:]:
        unused.set_visible(False)
    legend(figure, keys, loc="outside lower left", ncols=key_columns)
    return figure, axes[:count]


def columns_of(study: Study, count: int) -> int:
    """Choose how many panels stand side by side: a row a data set where that fits."""
    originals = len(study.originals)
    if originals in (2, 3) and count % originals == 0:
        return originals
    return {1: 1, 2: 2, 4: 2}.get(count, 3)


def panel_label(axes: Axes, title: str, x: str, y: str, columns: float, *, shared: bool = False) -> None:
    """Name a panel, in as many lines as the number of columns needs; a shared axis leaves the title more room."""
    label(axes, "", x, y)
    room = WIDTH / columns - (_BESIDE_SHARED if shared else _BESIDE)
    text = "\n".join(_wrapped(title, 72 * room))
    axes.set_title(text, loc="left", fontsize=_TITLE, fontweight="bold", color=INK, pad=8)


def shortened(text: str, most: int = _LONGEST) -> str:
    """Cut a long name.

    >>> shortened("abcdefgh", 5)
    'abcd…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def absent(axes: Axes, place: float, why: str = "no result") -> None:
    """Write in a panel's middle, at a place of its axis, that nothing is known there."""
    across = axes.get_xaxis_transform()
    axes.text(place, 0.5, why, transform=across, rotation=90, ha="center", va="center", fontsize=8, color=SOFT_INK)


def name_ticks(axes: Axes, names: Sequence[str], columns: int) -> None:
    """Name the places 0, 1, ... of a panel, aslant where the names would overlap."""
    room = (8.0 / columns - 0.6) / len(names)
    turned: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(names)), names, **(turned if max(map(len, names)) * _LETTER > room else {}))


def line_key(text: str, colour: str = SOFT_INK, **options: Any) -> Any:
    """Make the legend's key of a line."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=written(text), **{"color": colour, "linewidth": 1.4, **options})


def _wrapped(title: str, room: float) -> list[str]:
    """Break a title into lines of at most the given points, cut after the last that there is room for."""
    lines: list[str] = []
    rest = title.split()
    while rest and len(lines) < _MOST_LINES:
        count = next((count for count in range(len(rest), 1, -1) if _width(" ".join(rest[:count])) <= room), 1)
        lines.append(" ".join(rest[:count]))
        rest = rest[count:]
    lines[-1:] = [f"{line} …" if rest else line for line in lines[-1:]]
    return [written(_fitting(line, room)) for line in lines]


def _fitting(line: str, room: float) -> str:
    """Cut a line that has no place to be broken at."""
    while len(line) > 2 and _width(line) > room:
        line = f"{line[:-2]}…"
    return line


def text_width(text: str, size: float, weight: str) -> float:
    """Measure a line of text in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    if not text:
        return 0.0
    font = FontProperties(size=size, weight=weight)
    width, _, _ = TextToPath().get_text_width_height_descent(written(text), font, ismath=False)
    return float(width)


def _width(title: str) -> float:
    return text_width(title, _TITLE, "bold")


def _key_columns(keys: Sequence[Any]) -> int:
    """Choose the most columns of keys that fit side by side; a column is filled before the next."""
    widths = [_KEY + _LETTER * len(key.get_label()) for key in keys]
    for columns in range(len(keys), 1, -1):
        rows = -(-len(keys) // columns)
        if sum(max(widths[start : start + rows]) for start in range(0, len(keys), rows)) < WIDTH:
            return -(-len(keys) // rows)
    return 1
