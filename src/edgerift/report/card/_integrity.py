"""What has changed since a card was made: files and stored weights that are not what it measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edgerift.report.card._card import Card

#: More layers than this are counted.
_NAMED: Final = 3


def changed_since(before: Card, now: Card) -> Iterator[str]:
    """Say which builds and which layers' codes differ from those of an earlier card of the same folder.

    A single flipped bit shows, whatever it does to the answers.
    """
    for name, fingerprint in before.fingerprint.items():
        if name in now.fingerprint and now.fingerprint[name].sha256 != fingerprint.sha256:
            yield f"the {name} build is not the file that the card was made of: its SHA-256 has changed"
    layers = [name for name, checksum in before.codes.items() if now.codes.get(name) != checksum]
    if layers:
        more = f" and {len(layers) - _NAMED} more" if len(layers) > _NAMED else ""
        named = ", ".join(f"'{name}'" for name in layers[:_NAMED])
        yield f"the program's weights are not those that the card was made of: checksums differ in {named}{more}"
