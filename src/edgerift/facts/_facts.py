"""The facts of a study: which there are, and how they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, final

from edgerift.facts._metric import Fact, Reading
from edgerift.facts._published import published_accuracy_facts, published_clone_facts, published_theft_facts
from edgerift.facts._walk import data_free_facts, pair_facts, theft_facts
from edgerift.study import Study, StudyResult


@final
class Facts(Sequence[Fact]):
    """Facts of one study, in the order of its documents; a selection of them is of the same kind.

    `result` is the document, for what is no figure: titles, settings, pictures.
    """

    def __init__(self, result: StudyResult, found: Iterable[Fact]) -> None:
        self.result = result
        self._all = tuple(found)
        self._by_reading: dict[Reading[Any], list[Fact]] = {}
        for fact in self._all:
            self._by_reading.setdefault(fact.reading, []).append(fact)

    def __getitem__(self, place: Any) -> Any:
        return self._all[place]

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Fact]:
        return iter(self._all)

    def of(self, *readings: Reading[Any], **wanted: object) -> Facts:
        """Select the measured facts of some readings, whose fields are as wanted.

        A field may be wanted to be one of several values, given as a set. Published facts come with
        `source="published"`.
        """
        if len(readings) == 1:
            found = self._by_reading.get(readings[0], [])
        else:
            found = [fact for fact in self._all if fact.reading in readings]
        return Facts(self.result, _matching(found, {"source": "measured", **wanted}))

    def where(self, **wanted: object) -> Facts:
        """Select the facts whose fields are as wanted, whatever they measure."""
        return Facts(self.result, _matching(self._all, wanted))

    def distinct(self, field: str) -> list[Any]:
        """List the values of a field, each once."""
        return list(dict.fromkeys(getattr(fact, field) for fact in self._all))

    def by(self, *fields: str) -> dict[Any, Facts]:
        """Sort the facts by the values of a field, or by those of several together."""
        key = attrgetter(*fields)
        found: dict[Any, list[Fact]] = {}
        for fact in self._all:
            found.setdefault(key(fact), []).append(fact)
        return {value: Facts(self.result, own) for value, own in found.items()}

    @property
    def study(self) -> Study:
        """The study's settings."""
        return self.result.study

    @property
    def seeds(self) -> dict[int, Fact]:
        """The facts by their seeds; of several of one seed the last."""
        return {fact.seed: fact for fact in self._all if fact.seed is not None}


def facts(result: StudyResult) -> Facts:
    """Read every figure of a study's documents; where its paper prints the same, that too."""
    return Facts(result, _walk(result))


def _walk(result: StudyResult) -> Iterator[Fact]:
    if result.pairs:
        yield from pair_facts(result)
    yield from published_accuracy_facts(result)
    yield from theft_facts(result)
    yield from published_theft_facts(result)
    yield from data_free_facts(result)
    yield from published_clone_facts(result)


def record_rows(found: Facts) -> Iterator[tuple[str | float | None, ...]]:
    """Give the rows of `records.csv`: all facts but those that are made of others."""
    return (fact.cells() for fact in found if fact.reading.recorded)


def _matching(found: Iterable[Fact], wanted: Mapping[str, object]) -> list[Fact]:
    sets = {name: value for name, value in wanted.items() if isinstance(value, set | frozenset)}
    single = [(name, value) for name, value in wanted.items() if name not in sets]
    return [
        fact
        for fact in found
        if all(getattr(fact, name) == value for name, value in single)
        and all(getattr(fact, name) in values for name, values in sets.items())
    ]
