"""The style of the pictures: a colour-blind-safe palette, thin axes, and reproducible bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edgerift.harden import VARIANTS
from edgerift.measure import Interval
from edgerift.report.shared._words import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK: Final = "#191b1e"
SOFT_INK: Final = "#595d64"
GRID: Final = "#e6e5df"
#: Width of a picture in inches: on a page its smallest text is as large as that of the page's own charts.
WIDTH: Final = 8.8
_DOTS: Final = 160
_SMALL: Final = 8.5


class Look(NamedTuple):
    """A colour and a marker; where there are many, two of them differ in both."""

    colour: str
    marker: str

    @property
    def size(self) -> float:
        """How large the marker has to be, in points, to look as large as the others."""
        return {"*": 9.5, "P": 7.5, "X": 7.5, "D": 5.8, "s": 6.0}.get(self.marker, 6.5)


#: The undefended victim, where only defences have looks of their own.
UNDEFENDED: Final = Look(INK, "o")

_PALETTE: Final = (
    Look("#0072b2", "o"),
    Look("#c2410c", "D"),
    Look("#00855f", "^"),
    Look("#b4428f", "s"),
    Look("#e08e00", "v"),
    Look("#3fa7e0", "P"),
    Look("#5b6270", "X"),
)

_SPARE: Final = (">", "d", "H", "8")


def looks(names: Sequence[str]) -> dict[str, Look]:
    """Give each victim its look: the same one in every picture."""
    own = {name: Look(*one.look) for name, one in VARIANTS.items() if one.look is not None}
    others = [name for name in names if name not in own]
    spare = {
        name: _PALETTE[number % len(_PALETTE)]._replace(marker=_SPARE[number % len(_SPARE)])
        for number, name in enumerate(others)
    }
    return {name: own.get(name) or spare[name] for name in names}


def palette(names: Sequence[str]) -> dict[str, Look]:
    """Give each defence its look."""
    found = {}
    for number, name in enumerate(names):
        again, place = divmod(number, len(_PALETTE))
        look = _PALETTE[place]
        found[name] = look._replace(marker=_SPARE[(again - 1) % len(_SPARE)]) if again else look
    return found


def new_figure(width: float, height: float, rows: int, columns: int, **options: Any) -> tuple[Figure, list[Axes]]:
    """Make a figure of the given size in inches and its axes, row by row; `options` go to `Figure.subplots`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08, wspace=0.03, hspace=0.04)
    figure = Figure(figsize=(width, height), dpi=_DOTS, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    axes = [one for row in figure.subplots(rows, columns, squeeze=False, **options) for one in row]
    for one in axes:
        _clean(one)
    return figure, axes


def label(axes: Axes, title: str, x: str, y: str = "") -> None:
    """Name a panel and its axes; the name stands where its own axis begins."""
    axes.set_title(written(title), loc="left", fontsize=10, fontweight="bold", color=INK, pad=9)
    axes.set_xlabel(written(x), fontsize=_SMALL, color=SOFT_INK)
    axes.set_ylabel(written(y), fontsize=_SMALL, color=SOFT_INK)


def legend(figure: Figure | Axes, handles: Sequence[Any], **options: Any) -> Any:
    """Draw a legend of handles that have labels, without a frame."""
    return figure.legend(
        handles=handles,
        frameon=False,
        fontsize=_SMALL,
        labelcolor=INK,
        handletextpad=options.pop("handletextpad", 0.5),
        columnspacing=1.6,
        **options,
    )


def mark_key(look: Look, text: str) -> Any:
    """Make the legend's key of one look."""
    from matplotlib.lines import Line2D

    return Line2D(
        [], [], color=look.colour, marker=look.marker, markersize=look.size, linestyle="", label=written(text)
    )


def png(figure: Figure) -> bytes:
    """Write a figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def written(text: str) -> str:
    """Write text that the figure shows as it is: no part of it is a formula."""
    return plain(text).replace("$", r"\$")


def whiskers(interval: Interval) -> tuple[float, float, float]:
    """Give a share in percent, and how far its interval reaches below and above it."""
    value, low, high = 100 * interval.value, 100 * interval.low, 100 * interval.high
    return value, max(0.0, value - low), max(0.0, high - value)


def _clean(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#b9bbb5")
    axes.grid(visible=True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=_SMALL, colors=SOFT_INK, length=3, width=0.8)
