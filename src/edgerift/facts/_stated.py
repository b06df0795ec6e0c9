"""A claim of a paper as a difference of two figures of one cell of the grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar, final

Unit: TypeAlias = Literal["points", "percent", "nats", "l1"]
Cell = TypeVar("Cell")


@final
@dataclass(frozen=True)
class Stated(Generic[Cell]):
    """What a paper says and prints, and the difference that would show it.

    `difference` is None for a cell that lacks one of its figures; `unit` is that of the difference (percentage points,
    percent, nats, or l1 in [0, 2]). The claim is that the difference lies above `bound`, or below it. A claim about
    thefts is of the study's first target unless it looks at `every_target`; `thief` is what the thieves read whose
    clones it compares with those of the plain build; `priced` are two victims who need not cost their owner the same.
    """

    name: str
    statement: str
    published: str
    measured: str
    difference: Callable[[Cell], float | None]
    unit: Unit = "points"
    bound: float = 0.0
    side: Literal["above", "below"] = "above"
    every_target: bool = False
    thief: Literal["soft", "hard"] | None = None
    priced: tuple[str, str] | None = None
