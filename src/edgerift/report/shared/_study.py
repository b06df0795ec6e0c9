"""What the tables and the figures of a study share: the cells of its grid that have facts, and their names."""

from __future__ import annotations

from collections.abc import Iterable

from edgerift.evade import Diva
from edgerift.facts import ADAPTATIONS, Facts, readings
from edgerift.study import Study


def networks(found: Facts) -> list[tuple[str, str]]:
    """List the data sets and networks that have facts, in the study's order."""
    known = found.by("data", "original")
    return [
        (data, original) for data in found.study.data for original in found.study.originals if (data, original) in known
    ]


def adaptations(found: Facts) -> list[str]:
    """List the adaptations that were attacked, in the study's order."""
    known = found.of(readings.ADAPTED_ACCURACY).distinct("victim")
    order = ADAPTATIONS if found.study.evasion is None else found.study.evasion.adaptations
    return [name for name in order if name in known]


def drawn_attacks(found: Facts) -> list[str]:
    """List the attacks that figures show: those that only give DIVA another weight have a table of their own."""
    known = {} if found.study.evasion is None else found.study.evasion.attacks
    weights = {name: choice.attack.objective for name, choice in known.items()}
    left_out = {name for name, objective in weights.items() if isinstance(objective, Diva) and objective.c != 1}
    names = found.of(readings.EVASIVE).distinct("attack")
    return [name for name in names if name not in left_out] or names


def subject(study: Study, data: str, original: str, *others: str) -> str:
    """Name a data set, an original unless the study has no other, and further parts."""
    return ", ".join([data, *([original] if len(study.originals) > 1 else []), *others])


def attack_titles(study: Study, names: Iterable[str]) -> dict[str, str]:
    """Name attacks as the study's file does."""
    known = {} if study.evasion is None else study.evasion.attacks
    titles = {name: known[name].title if name in known else None for name in names}
    return {name: title or name for name, title in titles.items()}
