"""Parquet shards by split, and whether they are complete."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from edgerift.errors import DataError
from edgerift.images._words import HELD_OUT, split_words

_NUMBERED = re.compile(r"(.*?)(\d+)-of-(\d+)(?!\d)")
_CONVERTED = re.compile(r"\d{4}")
"""How the hub calls the shards of its own copies; the number of all is not in the name."""


class _Counted(NamedTuple):
    """A shard with its number, their total where its name has it, and the format of the number."""

    file: Path
    number: int
    total: int | None
    spelling: str


class Shards(NamedTuple):
    """The shards of `"train"` and perhaps of `"test"`, and the decisions about the others."""

    splits: Mapping[str, tuple[Path, ...]]
    notes: tuple[str, ...]


def sort_shards(origin: str, folder: Path, files: Sequence[Path]) -> Shards:
    """Put the Parquet files below a folder into splits; see `open_folder` for the words that name them.

    Raises `DataError` where there are no training images, where two words name one split, where a shard is
    missing, and where the folder holds several sets.
    """
    found: dict[str, dict[str, list[Path]]] = {}
    for file in files:
        split, word = _split_of(origin, file.relative_to(folder))
        found.setdefault(split, {}).setdefault(word, []).append(file)
    held_out = next((split for split in HELD_OUT if split in found), None)
    train = "" if set(found) == {""} else "train"
    if train not in found:
        raise DataError(f"'{origin}' has no training images; it has {', '.join(filter(None, found))}")
    chosen = {"train": _one_word(origin, found.pop(train))}
    if held_out is not None:
        chosen["test"] = _one_word(origin, found.pop(held_out))
    for shards in chosen.values():
        _check_complete(origin, shards)
    _check_one_set(origin, folder, chosen)
    rest = [file for words in found.values() for shards in words.values() for file in shards]
    return Shards({split: tuple(shards) for split, shards in chosen.items()}, _not_read(origin, folder, rest))


def _split_of(origin: str, path: Path) -> tuple[str, str]:
    for part in (path.stem, *reversed(path.parent.parts)):
        found = split_words(part)
        if len(found) > 1:
            raise DataError(
                f"'{origin}' has {part!r}, whose name says {' and '.join(found.values())}; name one split in it"
            )
        if found:
            return next(iter(found.items()))
    return "", ""


def _one_word(origin: str, words: Mapping[str, list[Path]]) -> list[Path]:
    """Return the shards of a split, which one word names: two are two copies, or two sets."""
    if len(words) > 1:
        both = " and ".join(shards[0].name for shards in words.values())
        raise DataError(f"'{origin}' names one split in {len(words)} ways, {both}; keep the files of one")
    return next(iter(words.values()))


def _not_read(origin: str, folder: Path, rest: Sequence[Path]) -> tuple[str, ...]:
    if not rest:
        return ()
    names = ", ".join(file.relative_to(folder).as_posix() for file in rest[:3]) + (", ..." if len(rest) > 3 else "")
    return (f"{len(rest)} Parquet files of '{origin}' are neither trained nor judged on: {names}",)


def _check_complete(origin: str, shards: Iterable[Path]) -> None:
    """Refuse shards with a missing or duplicate one, where their names count them."""
    counted: dict[tuple[Path, str], list[_Counted]] = {}
    for shard in shards:
        match = _NUMBERED.match(shard.stem)
        if match:
            number = _Counted(
                shard, int(match[2]), int(match[3]), f"{_literal(match[1])}{{:0{len(match[2])}}}-of-{match[3]}"
            )
            counted.setdefault((shard.parent, match[1]), []).append(number)
        elif _CONVERTED.fullmatch(shard.stem):
            counted.setdefault((shard.parent, ""), []).append(_Counted(shard, int(shard.stem), None, "{:04}"))
    for series in counted.values():
        _check_series(origin, sorted(series, key=lambda one: one.number))


def _check_series(origin: str, series: Sequence[_Counted]) -> None:
    first, last = series[0], series[-1]
    for one, other in pairwise(series):
        if one.total != other.total or one.number == other.number:
            raise DataError(
                f"'{origin}' has the shards {one.file.name!r} and {other.file.name!r}, which are of two copies of one "
                "split; keep the files of one"
            )
    if last.total is None and first.number > 1:
        return  # Years, perhaps; the hub counts from 0000.
    start = 1 if first.number and last.number == last.total else 0
    end = last.number + 1 if last.total is None else start + last.total
    there = {one.number for one in series}
    missing = next((number for number in range(start, end) if number not in there), None)
    if missing is not None:
        raise DataError(
            f"'{origin}' has {len(series)} of {end - start} shards like {first.file.name!r}; "
            f"{first.spelling.format(missing)!r} is missing: copy it again"
        )


def _check_one_set(origin: str, folder: Path, chosen: Mapping[str, Sequence[Path]]) -> None:
    """Refuse a folder of several sets, whose images would be read as one."""
    homes = [
        {"/".join(part for part in shard.relative_to(folder).parent.parts if not split_words(part)) for shard in shards}
        for shards in chosen.values()
    ]
    named = set().union(*homes)
    if any(len(one) > 1 for one in homes) or len(named - {""}) > 1:
        places = ", ".join(f"{origin}/{home}" if home else origin for home in sorted(named))
        raise DataError(f"'{origin}' holds several sets; give one of its folders: {places}")


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
