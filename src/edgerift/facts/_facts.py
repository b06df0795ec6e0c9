"""The facts of a study, and how to select them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, final

from edgerift.facts._metric import Fact, Reading
from edgerift.facts._published import published_accuracy_facts, published_clone_facts, published_theft_facts
from edgerift.facts._walk import data_free_facts, pair_facts, theft_facts
from edgerift.study import Study, StudyResult


@final
class Facts(Sequence[Fact]):
    """Facts of one study, in the order of its documents; a selection of them is of the same kind.

    `result` is the document, for everything that is not a value: titles, settings, pictures.
    """

    def __init__(self, result: StudyResult, found: Iterable[Fact]) -> None:
        self.result = result
        self._all = tuple(found)
        # Tables and figures repeat the same selections.
        self._sorted: dict[tuple[str, ...], dict[tuple[Any, ...], Facts]] = {}
        self._selected: dict[tuple[tuple[str, object], ...], Facts] = {}

    def __getitem__(self, place: Any) -> Any:
        return self._all[place]

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Fact]:
        return iter(self._all)

    def of(self, *readings: Reading[Any], **wanted: object) -> Facts:
        """Select the measured facts of some readings, whose fields have the given values.

        Several values of a field are given as a frozen set. Published facts come with
        `source="published"`.
        """
        one_of = readings[0] if len(readings) == 1 else frozenset(readings)
        return self.where(**{"reading": one_of, "source": "measured", **wanted})

    def where(self, **wanted: object) -> Facts:
        """Select the facts whose fields have the given values, of any metric."""
        key = tuple(sorted(wanted.items(), key=lambda entry: entry[0]))
        if key not in self._selected:
            self._selected[key] = self._matching(key)
        return self._selected[key]

    def _matching(self, wanted: Sequence[tuple[str, object]]) -> Facts:
        sets = [(name, values) for name, values in wanted if isinstance(values, frozenset)]
        single = [(name, value) for name, value in wanted if not isinstance(value, frozenset)]
        names, values = tuple(name for name, _ in single), tuple(value for _, value in single)
        found = self._index(names).get(values, Facts(self.result, ())) if single else self
        if not sets:
            return found
        return Facts(self.result, [fact for fact in found if all(getattr(fact, name) in own for name, own in sets)])

    def distinct(self, field: str) -> list[Any]:
        """List the values of a field, each once."""
        return list(dict.fromkeys(getattr(fact, field) for fact in self._all))

    def by(self, *fields: str) -> dict[Any, Facts]:
        """Group the facts by the values of a field, or of several fields."""
        found = self._index(fields)
        return {values[0]: own for values, own in found.items()} if len(fields) == 1 else {**found}

    def _index(self, fields: tuple[str, ...]) -> dict[tuple[Any, ...], Facts]:
        if fields not in self._sorted:
            found: dict[tuple[Any, ...], list[Fact]] = {}
            for fact in self._all:
                found.setdefault(tuple([getattr(fact, name) for name in fields]), []).append(fact)
            self._sorted[fields] = {values: Facts(self.result, own) for values, own in found.items()}
        return self._sorted[fields]

    @property
    def study(self) -> Study:
        """The study's settings."""
        return self.result.study

    @property
    def seeds(self) -> dict[int, Fact]:
        """The facts by their seeds; of several of one seed the last."""
        return {fact.seed: fact for fact in self._all if fact.seed is not None}


def facts(result: StudyResult) -> Facts:
    """Read every figure of a study's documents; with the paper's value where it reports the same."""
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
    """Give the rows of `records.csv`: all facts except derived ones."""
    return (fact.cells() for fact in found if fact.reading.recorded)
