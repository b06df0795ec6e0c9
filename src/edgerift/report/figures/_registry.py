"""The figures of a study: each registers itself with its title and its caption, in any module of this package."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from edgerift.errors import InputError, unknown_name
from edgerift.facts import Facts
from edgerift.report.figures._seeds import whisker_words
from edgerift.report.shared._plots import png
from edgerift.settings import Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

_LONGEST_SLUG: Final = 40


class Figure(NamedTuple):
    """What a page writes about a figure, and the part of a study that it belongs to.

    `beside` names the table that it stands with. A page shows `photographs` with their own colours in the dark as well.
    """

    title: str
    caption: str
    place: Literal["evasion", "theft"]
    beside: str = ""
    photographs: bool = False


class Chart(NamedTuple):
    """A figure to draw, and what it shows in words; `about` says of what it is where that is not the whole study."""

    draw: Callable[[Facts], Drawing]
    words: Callable[[Facts], str]
    about: str = ""
    names: tuple[str, ...] = ()


Make: TypeAlias = Callable[[Facts], Chart | Iterable[Chart] | None]
Counts: TypeAlias = Callable[[Facts], frozenset[int]]


@dataclass(frozen=True)
class _Kind:
    """A kind of figures: what is said of it, what makes it, and the seeds that whiskers span."""

    figure: Figure
    make: Make
    whiskers: Counts | None

    def caption(self, found: Facts | None) -> str:
        """Give the caption, which says which intervals the whiskers are."""
        if self.whiskers is None:
            return self.figure.caption
        if found is None:
            return (
                f"{self.figure.caption} Whiskers are 95 % intervals over the seeds (Student's t), or of the images "
                "where there is one seed."
            )
        counts = self.whiskers(found)
        several = ", cut where no figure can lie; of the images also where all seeds agree"
        cut = several if max(counts, default=1) > 1 else ""
        return f"{self.figure.caption} Whiskers: {whisker_words(counts)}{cut}."


KINDS: Final[Registry[_Kind]] = Registry("kind of figures", "edgerift.report.figures")


def study_figure(
    kind: str,
    order: int,
    title: str,
    caption: str,
    *,
    place: Literal["evasion", "theft"],
    beside: str = "",
    whiskers: Counts | None = None,
    photographs: bool = False,
) -> Callable[[Make], Make]:
    """Register what makes the charts of a kind of figures; figures stand by their order."""

    def register(make: Make) -> Make:
        KINDS.register(kind, _Kind(Figure(title, caption, place, beside, photographs), make, whiskers), rank=order)
        return make

    return register


def study_charts(found: Facts, write: Callable[[str, bytes], object]) -> dict[str, str]:
    """Draw a study's figures, hand each to `write` as NAME.png, and give what each shows in words, by name.

    A name is a kind of figures, followed by data set, original and adaptation where there are several of the kind.
    What has nothing to show is left out. The same result gives the same bytes.
    """
    told: dict[str, str] = {}
    for name, chart in _charts(found):
        write(f"{name}.png", drawn(chart, found))
        told[name] = chart.words(found)
    return told


def drawn(chart: Chart, found: Facts) -> bytes:
    """Draw a chart as a PNG file."""
    return png(chart.draw(found))


def figure_of(name: str, found: Facts | None = None) -> Figure:
    """Give title, caption and place of a figure that :func:`study_charts` named.

    With the facts the title names data set, original and adaptation as the study does, and the caption says which
    intervals the whiskers are. Raises :class:`~edgerift.errors.InputError` for a name of no kind.

    >>> figure_of("pca-cifar10-resnet-qat").title
    'Features, principal components: cifar10-resnet-qat'
    """
    kind, _, rest = name.partition("-")
    known = dict(KINDS.items())
    if kind not in known:
        raise InputError(unknown_name("figure", name, known))
    about = rest
    if found is not None and rest:
        about = next((chart.about for own, chart in _charts(found, kind) if own == name), rest)
    figure = known[kind].figure
    title = f"{figure.title}: {about}" if about else figure.title
    return figure._replace(title=title, caption=known[kind].caption(found))


def _charts(found: Facts, only: str = "") -> Iterator[tuple[str, Chart]]:
    """List the charts that have something to show, each with its name."""
    for name, kind in KINDS.items():
        if only in ("", name):
            made = kind.make(found)
            taken: set[str] = set()
            for chart in () if made is None else (made,) if isinstance(made, Chart) else made:
                free = _unique("-".join([name, *map(slug, chart.names)]), taken)
                taken.add(free)
                yield free, chart


def slug(text: str) -> str:
    """Write a name with the letters, digits and hyphens that any file system and address takes.

    >>> slug("My Data/v2"), slug("Größe"), slug("数字")
    ('my-data-v2', 'grosse', 'unnamed')
    """
    ascii_only = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only)[:_LONGEST_SLUG].strip("-") or "unnamed"


def _unique(name: str, taken: set[str]) -> str:
    """Number a name that another has already."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free
