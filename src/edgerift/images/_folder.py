"""Folders of images: the Parquet layout of the Hugging Face hub, or one folder for each class."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgerift.errors import DataError
from edgerift.images._content import Content, Source
from edgerift.images._fingerprint import derive, source_digest
from edgerift.images._reading import describe, read_tables
from edgerift.images._table import Table, open_image_folder, open_parquet

HELD_OUT = ("test", "validation", "valid", "val")
SPLIT_WORD = re.compile(r"(?:^|[-_.])(train|test|validation|valid|val)(?=$|[-_.])")


@dataclass(frozen=True)
class ParquetFiles(Source):
    """Parquet shards by split; how the files are called and where they lie leaves the fingerprint alone."""

    origin: str
    shards: Mapping[str, tuple[Path, ...]]

    def fingerprint(self) -> str:
        """Hash the shards' bytes."""
        digests = [f"{split} {source_digest(shard)}" for split, shards in self.shards.items() for shard in shards]
        return derive("parquet", *digests)

    def read(self, fingerprint: str, size: int | None, cache: Path) -> Content:
        """Decode the rows, or take them from the cache."""

        def tables() -> dict[str, Table]:
            return {split: open_parquet(describe(self.origin, split), shards) for split, shards in self.shards.items()}

        return read_tables(self.origin, tables, fingerprint, size, cache)


@dataclass(frozen=True)
class ClassFolders(Source):
    """Folders of class folders by split; a file counts by its bytes and its path below the split."""

    origin: str
    folders: Mapping[str, Path]

    def fingerprint(self) -> str:
        """Hash the files' bytes and their paths below the split's folder."""
        digests = [
            f"{split} {file.relative_to(folder).as_posix()} {source_digest(file)}"
            for split, folder in self.folders.items()
            for file in _files(folder)
        ]
        return derive("folders", *digests)

    def read(self, fingerprint: str, size: int | None, cache: Path) -> Content:
        """Decode the files, or take them from the cache."""

        def tables() -> dict[str, Table]:
            return {
                split: open_image_folder(describe(self.origin, split), folder) for split, folder in self.folders.items()
            }

        return read_tables(self.origin, tables, fingerprint, size, cache)


def open_folder(origin: str, folder: Path, config: str | None = None) -> Source:
    """Find the splits of a folder: its Parquet files, else its class folders.

    The word `train` or `test` in the name of a Parquet file or of a folder above it names its split; files
    without such a word are training images where no file has one. Without `test` a `validation` split takes
    its place. `config` is the subfolder to look in where there is one. Raises `DataError` where there is
    nothing to read.
    """
    folder = folder / config if config and (folder / config).is_dir() else folder
    shards = _files(folder, "*.parquet")
    if shards:
        return ParquetFiles(origin, _parquet_splits(origin, folder, shards))
    return ClassFolders(origin, _class_splits(origin, folder))


def _parquet_splits(origin: str, folder: Path, shards: Iterable[Path]) -> dict[str, tuple[Path, ...]]:
    splits: dict[str, list[Path]] = {}
    for shard in shards:
        splits.setdefault(_split_word(shard.relative_to(folder)), []).append(shard)
    chosen = {"train": splits.get("train", [])}
    if set(splits) == {""}:
        chosen["train"] = splits[""]
    held_out = next((word for word in HELD_OUT if word in splits), None)
    if held_out is not None:
        chosen["test"] = splits[held_out]
    if not chosen["train"]:
        raise DataError(f"'{origin}' has no training images; it has {', '.join(filter(None, splits))}")
    _check_one_set(origin, folder, chosen["train"])
    return {split: tuple(files) for split, files in chosen.items()}


def _split_word(path: Path) -> str:
    for part in (path.stem, *reversed(path.parent.parts)):
        found = SPLIT_WORD.search(part)
        if found:
            return found[1]
    return ""


def _check_one_set(origin: str, folder: Path, shards: Iterable[Path]) -> None:
    """Refuse a folder of several sets, whose images would be read as one."""
    homes = {
        "/".join(part for part in shard.relative_to(folder).parent.parts if not SPLIT_WORD.search(part))
        for shard in shards
    }
    if len(homes) > 1:
        raise DataError(f"'{origin}' holds several sets; give one of its folders: {', '.join(sorted(homes))}")


def _class_splits(origin: str, folder: Path) -> dict[str, Path]:
    train = folder / "train"
    if train.is_dir() and _subfolders(train):
        held_out = next((folder / word for word in HELD_OUT if (folder / word).is_dir()), None)
        splits = {"train": train} | ({} if held_out is None else {"test": held_out})
    else:
        splits = {"train": folder}
    for split in splits.values():
        if not any(_files(inner) for inner in _subfolders(split)):
            raise DataError(
                f"'{origin}' holds no Parquet files and {split.name}/ no class folders with images; "
                "give a folder with train.parquet, train/<class>/ or <class>/ in it"
            )
    return splits


def _subfolders(folder: Path) -> list[Path]:
    return [inner for inner in sorted(folder.iterdir()) if inner.is_dir() and not inner.name.startswith(".")]


def _files(folder: Path, pattern: str = "*") -> list[Path]:
    """List the files below a folder in order, without hidden ones."""
    return [
        file
        for file in sorted(folder.rglob(pattern))
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]
