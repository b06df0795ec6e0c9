"""Marks of models that do no better than guessing, of which nothing measured is evidence."""

from __future__ import annotations

from typing import final

from edgerift.facts import Facts, collapsed


@final
class Collapses:
    """The models of a study that do no better than guessing, and what is said behind their names."""

    def __init__(self, found: Facts) -> None:
        """Find them."""
        self._models = list(collapsed(found))

    def seeds(self, data: str, original: str, victim: str, target: str = "", alpha: float | None = None) -> set[int]:
        """List the seeds whose model has collapsed: on a target where one is named, at an alpha where there are."""
        return {
            seed or 0
            for own_data, own_original, own_target, own_victim, seed, own_alpha in self._models
            if (own_data, own_original, own_victim, own_alpha) == (data, original, victim, alpha)
            and target in ("", own_target)
        }

    def mark(
        self, text: str, seeds: int, *, data: str, original: str, victim: str, target: str = "",
        alpha: float | None = None,
    ) -> str:  # fmt: skip
        """Say behind a text of how many of some seeds the model has collapsed; the text alone where of none."""
        dead = len(self.seeds(data, original, victim, target, alpha))
        return f"{text} ({collapse_words(dead, seeds)})" if dead else text


def collapse_words(dead: int, seeds: int) -> str:
    """Say how many of some seeds' models do no better than guessing.

    >>> collapse_words(1, 3), collapse_words(3, 3)
    ('1 of 3 seeds collapsed', 'collapsed')
    """
    return of_seeds_words("collapsed", dead, seeds)


def of_seeds_words(what: str, number: int, seeds: int) -> str:
    """Say what became of some of a number of seeds.

    >>> of_seeds_words("diverged", 1, 3), of_seeds_words("diverged", 3, 3)
    ('1 of 3 seeds diverged', 'diverged')
    """
    return what if number >= seeds else f"{number} of {seeds} seeds {what}"
