"""In what an attack without images is another than the published one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from edgerift.extract import DataFree
from edgerift.facts import ATTACKS

#: What tables say elsewhere, and how or where the same attack is computed.
_ELSEWHERE: Final = frozenset({"student", "differences.epsilon", "seed", "precision", "devices"})


def changes_words(attacks: Iterable[DataFree]) -> str:
    """Say which settings of attacks are not their publications', each attack once; that all are, where none is."""
    told = dict.fromkeys(
        f"{ATTACKS[attack.name]}: {', '.join(changes)}" for attack in attacks if (changes := changed_settings(attack))
    )
    return f"Not as published: {'; '.join(told)}." if told else "All other settings are the publications'."


def changed_settings(attack: DataFree) -> list[str]:
    """List the settings of an attack that are not its publication's, those of a part with a dot.

    >>> changed_settings(DataFree(name="maze", batch_size=16))
    ['batch_size 16']
    """
    published = dict(_settings(DataFree(name=attack.name)))
    own = _settings(attack)
    absent = object()
    changed = [(name, value) for name, value in own if name not in _ELSEWHERE and published.get(name, absent) != value]
    return [f"{name} {_words(value)}" for name, value in changed]


def _settings(attack: DataFree) -> list[tuple[str, Any]]:
    return list(_flat(attack.model_dump(mode="json"), ""))


def _flat(part: dict[str, Any], before: str) -> Iterator[tuple[str, Any]]:
    for name, value in part.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _words(value: Any) -> str:
    if isinstance(value, list):
        return "/".join(map(_words, value))
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
