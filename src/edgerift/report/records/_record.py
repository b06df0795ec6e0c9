"""One measured figure of a study, as its long table holds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, fields, replace
from typing import Any, Final, Literal, TypeAlias

from edgerift.measure import Interval, MeanInterval

Unit: TypeAlias = Literal["share", "l1", "nats", "ms", "grey levels", "count", "p", "strength", "ratio", "bytes", ""]


@dataclass(frozen=True)
class Record:
    """A figure, where it stands in the grid and in the paper, its interval and the number of images behind it.

    `victim` is the adaptation or the row, `original` for the original itself. `at` is what the figure is over: an
    epoch, a number of gradients, an alpha, a strength, a class. Shares are in [0, 1].
    """

    paper: str = ""
    source: Literal["measured", "published"] = "measured"
    data: str = ""
    original: str = ""
    victim: str = ""
    seed: float | None = None
    target: str = ""
    attack: str = ""
    labels: str = ""
    student: str = ""
    metric: str = ""
    at: str | float | None = None
    unit: Unit = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    count: float | None = None

    def cells(self) -> tuple[str | float | None, ...]:
        """Give the record as a row."""
        return astuple(self)

    def share(self, metric: str, part: Interval | None, **changes: Any) -> Iterator[Record]:
        """Fill in a share; nothing for one that was not measured."""
        if part is not None:
            yield self._filled(metric, "share", part.value, part.low, part.high, part.trials, changes)

    def mean(self, metric: str, unit: Unit, part: MeanInterval, **changes: Any) -> Iterator[Record]:
        """Fill in a mean over images."""
        yield self._filled(metric, unit, part.value, part.low, part.high, part.count, changes)

    def plain(self, metric: str, unit: Unit, value: float | None, **changes: Any) -> Iterator[Record]:
        """Fill in a figure without an interval; nothing for one that was not measured."""
        if value is not None:
            yield self._filled(metric, unit, value, None, None, None, changes)

    def plains(self, values: Mapping[tuple[str, Unit], float | None], **changes: Any) -> Iterator[Record]:
        """Fill in several figures without intervals."""
        for (metric, unit), value in values.items():
            yield from self.plain(metric, unit, value, **changes)

    def _filled(
        self,
        metric: str,
        unit: Unit,
        value: float,
        low: float | None,
        high: float | None,
        count: int | None,
        changes: Mapping[str, Any],
    ) -> Record:
        found: dict[str, Any] = {
            "metric": metric,
            "unit": unit,
            "value": value,
            "low": low,
            "high": high,
            "count": count,
        }
        return replace(self, **{**found, **changes})


COLUMNS: Final = tuple(field.name for field in fields(Record))
