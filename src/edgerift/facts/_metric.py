"""The metrics, and how each is read from the parts of documents: every figure is declared once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar, final

from edgerift.measure import Interval, MeanInterval

Unit: TypeAlias = Literal[
    "share", "percent", "l1", "nats", "ms", "grey levels", "count", "p", "strength", "ratio", "bytes", "kB", ""
]  # fmt: skip
Better: TypeAlias = Literal["owner", "attacker", "neither"]
Value: TypeAlias = Interval | MeanInterval | float | None
Document = TypeVar("Document")

#: The range of each unit.
_RANGES: Final[Mapping[str, tuple[float, float]]] = {"share": (0.0, 1.0), "l1": (0.0, 2.0), "p": (0.0, 1.0)}

#: How headings write a unit, where that is another word.
_IN_HEADINGS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("share", "percent"), "%"),
    **dict.fromkeys(("l1", "ratio", "p", "strength", "count"), ""),
}

#: Stands among the tables of a paper for those that the row itself belongs to.
ITS_TABLES: Final = "its tables"


@final
@dataclass(frozen=True)
class Metric:
    """A quantity: its name in `records.csv`, its unit, its range, and for whom higher is better.

    Braces in a name are placeholders, for a defence for instance. `range` defaults to that of the unit.
    `title` is the heading in a table, by default the capitalized name.
    """

    name: str
    unit: Unit = "share"
    better: Better = "neither"
    range: tuple[float, float] | None = None
    title: str = ""

    @property
    def within(self) -> tuple[float, float]:
        """The lowest and the highest possible value."""
        return self.range or _RANGES.get(self.unit, (0.0, math.inf))

    @property
    def heading(self) -> str:
        """The name of a table's column, with the unit that figures have there: shares are in percent."""
        unit = {"share": "%", "percent": "%", "l1": "", "ratio": "", "p": "", "strength": "", "count": ""}.get(
            self.unit, self.unit
        )
        words = self.title or self.name[:1].upper() + self.name[1:]
        return f"{words} ({unit})" if unit else words


@final
@dataclass(frozen=True, eq=False)
class Reading(Generic[Document]):
    """A figure that a part of a document has: what it measures and how it is read; None for a missing value.

    `at` reads what the figure is over. `paper` names the tables and figures of the study's paper that have the same.
    What is not `recorded` is left out of `records.csv`, being made of what is there. `tables` name those that get a
    column for it besides their own.
    """

    part: str
    metric: Metric
    read: Callable[[Document], Value]
    at: Callable[[Document], str | float | None] | None = None
    paper: tuple[str, ...] = ()
    recorded: bool = True
    tables: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class Fact:
    """A figure, where it stands in the grid and in the paper, its interval and the number of images behind it.

    `victim` is the adaptation or the row, `original` for the original itself. An attack may be data-free, with an
    `epsilon` and as a `control`, or be compared `against` another one. `at` is what the figure is over: an epoch, a
    number of gradients, an alpha, a strength, a class. `about` fills the braces of the metric's name. Shares are in [0,
    1].
    """

    reading: Reading[Any]
    value: float
    paper: str = ""
    source: Literal["measured", "published"] = "measured"
    data: str = ""
    original: str = ""
    victim: str = ""
    seed: int | None = None
    target: str = ""
    attack: str = ""
    epsilon: float | None = None
    control: str | None = None
    against: str = ""
    labels: str = ""
    student: str = ""
    at: str | float | None = None
    about: str = ""
    low: float | None = None
    high: float | None = None
    count: int | None = None

    @property
    def metric(self) -> str:
        """The name of what is measured."""
        return self.reading.metric.name.format(self.about) if self.about else self.reading.metric.name

    @property
    def over(self) -> float:
        """What the figure is over, where that is a number; 0 where it is none."""
        return self.at if isinstance(self.at, int | float) else 0.0

    def cells(self) -> tuple[str | float | None, ...]:
        """Give the fact as a row of `records.csv`."""
        attack = f"{self.attack} against {self.against}" if self.against else theft_name(self.attack, self.epsilon)
        place = (self.paper, self.source, self.data, self.original, self.victim, self.seed, self.target)
        how = (f"{attack}, {self.control}" if self.control else attack, self.labels, self.student, self.metric)
        unit = self.reading.metric.unit
        return (*place, *how, self.at, unit, self.value, self.low, self.high, self.count)


#: The columns of `records.csv`.
COLUMNS: Final = (
    "paper", "source", "data", "original", "victim", "seed", "target", "attack", "labels", "student", "metric", "at",
    "unit", "value", "low", "high", "count",
)  # fmt: skip


def theft_name(attack: str, epsilon: float | None, control: str | None = None) -> str:
    """Name an attack with its epsilon and its control.

    >>> theft_name("dfme", 0.001, "simulated"), theft_name("disguide", None)
    ('dfme, epsilon 0.001, simulated', 'disguide')
    """
    return ", ".join([attack, *([] if epsilon is None else [f"epsilon {epsilon:g}"]), *([control] if control else [])])


#: Every figure that was declared.
READINGS: Final[list[Reading[Any]]] = []


@final
@dataclass(frozen=True)
class Part(Generic[Document]):
    """A part of a document, and the figures that are read from it, in the order of `records.csv`."""

    name: str
    readings: list[Reading[Document]] = field(default_factory=list)

    def measure(
        self,
        metric: Metric,
        read: Callable[[Document], Value],
        *,
        at: Callable[[Document], str | float | None] | None = None,
        paper: Sequence[str] = (),
        recorded: bool = True,
        tables: Sequence[str] = (),
    ) -> Reading[Document]:
        """Declare a figure; every walk over documents finds it from then on."""
        made = Reading(self.name, metric, read, at, tuple(paper), recorded, tuple(tables))
        self.readings.append(made)
        READINGS.append(made)
        return made

    def facts(self, document: Document, place: Mapping[str, Any], tables: str | None = None) -> Iterator[Fact]:
        """Read the figures that there are, each with the fields of its `place`.

        `tables` are those of the paper that the place is in, None without a paper.
        """
        for reading in self.readings:
            found = reading.read(document)
            if found is not None:
                more = {} if reading.at is None else {"at": reading.at(document)}
                yield Fact(reading, **{**place, **more, **_value(found), "paper": _paper(reading, tables)})


def _paper(reading: Reading[Any], tables: str | None) -> str:
    names = () if tables is None else reading.paper
    return "; ".join(filter(None, (tables if name == ITS_TABLES else name for name in names)))


def _value(found: Interval | MeanInterval | float) -> dict[str, Any]:
    if isinstance(found, Interval):
        return {"value": found.value, "low": found.low, "high": found.high, "count": found.trials}
    if isinstance(found, MeanInterval):
        return {"value": found.value, "low": found.low, "high": found.high, "count": found.count}
    return {"value": found}
