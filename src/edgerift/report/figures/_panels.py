"""What the figures of a study share: which panels there are, what they are called, and the keys below them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from edgerift.report.shared._plots import INK, SOFT_INK, WIDTH, label, legend, new_figure, written
from edgerift.study import PairCell, StudyResult, TheftCell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: How the figures name what was made of an original.
ADAPTATIONS: Final[Mapping[str, str]] = {"ptq": "PTQ", "qat": "QAT", "finetune": "float control"}

_TITLE: Final = 10
_MOST_LINES: Final = 3
#: How much of a panel's width its title cannot have, in inches.
_BESIDE: Final = 0.68
_BESIDE_SHARED: Final = 0.34
#: How wide a key's sign and the room around it are, and a letter beside it, in inches.
_KEY: Final = 0.62
_LETTER: Final = 0.078
_LONGEST: Final = 44

_Cell = TypeVar("_Cell", PairCell, TheftCell)


@dataclass(frozen=True)
class Panel(Generic[_Cell]):
    """The cells of one data set and one original; `title` says so, without the original where all have the same."""

    title: str
    data: str
    original: str
    cells: tuple[_Cell, ...]


def panels(result: StudyResult, cells: Iterable[_Cell]) -> list[Panel[_Cell]]:
    """Sort cells into panels, in the study's order; there is none without a cell."""
    given = tuple(cells)
    found = []
    for data in result.study.data:
        for original in result.study.originals:
            own = tuple(cell for cell in given if (cell.data, cell.original) == (data, original))
            if own:
                found.append(Panel(subject(result, data, original), data, original, own))
    return found


def subject(result: StudyResult, data: str, original: str, *others: str) -> str:
    """Name a data set, an original unless the study has no other, and what else there is to say."""
    return ", ".join([data, *([original] if len(result.study.originals) > 1 else []), *others])


def first_target(result: StudyResult) -> list[TheftCell]:
    """Give the comparisons on the study's first target, where all rows are compared."""
    targets = [cell.target for cell in result.thefts] if result.study.theft is None else result.study.theft.targets
    return [cell for cell in result.thefts if cell.target == targets[0]]


def attack_titles(result: StudyResult, names: Iterable[str]) -> dict[str, str]:
    """Name attacks as the study's file does."""
    known = {} if result.study.evasion is None else result.study.evasion.attacks
    titles = {name: known[name].title if name in known else None for name in names}
    return {name: title or name for name, title in titles.items()}


def panel_figure(
    count: int, columns: int, height: float, keys: Sequence[Any], **options: Any
) -> tuple[Figure, list[Axes]]:
    """Make a figure of `count` panels in so many columns, each of so many inches, and a legend of `keys` below them."""
    rows = -(-count // columns)
    key_columns = _key_columns(keys)
    height = 0.35 + 0.19 * -(-len(keys) // key_columns) + height * rows
    figure, axes = new_figure(WIDTH, height, rows, columns, **options)
    for unused in axes[count:]:
        unused.set_visible(False)
    legend(figure, keys, loc="outside lower left", ncols=key_columns)
    return figure, axes[:count]


def columns_of(result: StudyResult, count: int) -> int:
    """Choose how many panels stand side by side: a row a data set where that fits."""
    originals = len(result.study.originals)
    if originals in (2, 3) and count % originals == 0:
        return originals
    return {1: 1, 2: 2, 4: 2}.get(count, 3)


def panel_label(axes: Axes, title: str, x: str, y: str, columns: float, *, shared: bool = False) -> None:
    """Name a panel, in as many lines as one of so many columns needs; a shared axis leaves the title more room."""
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


def absent(axes: Axes, place: float) -> None:
    """Write in a panel's middle, at a place of its axis, that nothing is known there."""
    across = axes.get_xaxis_transform()
    axes.text(
        place, 0.5, "no result", transform=across, rotation=90, ha="center", va="center", fontsize=8, color=SOFT_INK
    )


def line_key(text: str, colour: str = SOFT_INK, **options: Any) -> Any:
    """Make the legend's key of a line."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=written(text), **{"color": colour, "linewidth": 1.4, **options})


def _wrapped(title: str, room: float) -> list[str]:
    """Break a title into lines of at most so many points, cut after the last that there is room for."""
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
