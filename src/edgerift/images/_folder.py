"""Folders of images: the Parquet layout of the Hugging Face hub, or one folder for each class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgerift.images._content import Content, Source
from edgerift.images._fingerprint import derive, source_digest
from edgerift.images._formats import is_image
from edgerift.images._layout import METADATA, find_layout, list_members
from edgerift.images._reading import describe, read_tables
from edgerift.images._shape import Size
from edgerift.images._shards import sort_shards
from edgerift.images._table import FolderTable, ParquetTable, Table
from edgerift.images._walk import files_below


@dataclass(frozen=True)
class ParquetFiles(Source):
    """Parquet shards by split; file names and locations do not affect the fingerprint."""

    origin: str
    shards: Mapping[str, tuple[Path, ...]]
    notes: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """Hash the shards' bytes."""
        digests = [f"{split} {source_digest(shard)}" for split, shards in self.shards.items() for shard in shards]
        return derive("parquet", *digests)

    def read(self, fingerprint: str, size: Size | None, cache: Path) -> Content:
        """Decode the rows, or take them from the cache."""

        def tables() -> dict[str, Table]:
            return {split: ParquetTable(describe(self.origin, split), files) for split, files in self.shards.items()}

        return read_tables(self.origin, tables, fingerprint, size, cache).noting(*self.notes)


@dataclass(frozen=True)
class ClassFolders(Source):
    """Folders of class folders by split; a file counts by its bytes and its path below the split."""

    origin: str
    folders: Mapping[str, Path]
    notes: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """Hash the files' bytes, their paths below the split's folder, and the classes that these do not show."""
        parts = [part for split, folder in self.folders.items() for part in self._parts(split, folder)]
        return derive("folders", *parts)

    def _parts(self, split: str, folder: Path) -> Iterator[str]:
        files = files_below(folder)
        for file in files:
            yield f"{split} {file.relative_to(folder).as_posix()} {source_digest(file)}"
        members = list_members(describe(self.origin, split), folder)
        # Version 0.1 interpreted these differently, so its results for the same files have other names.
        for file, label in members.images:
            path = file.relative_to(folder)
            if file.parent.name != label or any(part.startswith("__") for part in path.parts):
                yield f"{split} {path.as_posix()} is {label}"
        for label in sorted(set(members.classes) - {label for _, label in members.images}):
            yield f"{split} has {label}"
        if any(file.name in METADATA for file in files):
            yield f"{split} without metadata"

    def read(self, fingerprint: str, size: Size | None, cache: Path) -> Content:
        """Decode the files, or take them from the cache."""

        def tables() -> dict[str, Table]:
            return {split: FolderTable(describe(self.origin, split), folder) for split, folder in self.folders.items()}

        return read_tables(self.origin, tables, fingerprint, size, cache).noting(*self.notes)


def open_folder(origin: str, folder: Path, config: str | None = None) -> Source:
    """Find the splits of a folder: its Parquet files, else its class folders.

    The word `train`, `test` or `validation`, in any case and usual spelling, in the name of a Parquet file or of a
    folder above it names its split, and so does the whole name of a folder of class folders; files and class folders
    without such a word are training images where there is no other. Without `test` a `validation` split takes its
    place. `config` is the subfolder to look in where there is one. Raises `DataError` where there is nothing to read,
    or where the layout is ambiguous.
    """
    folder = folder / config if config and (folder / config).is_dir() else folder
    files = files_below(folder)
    shards = [file for file in files if file.suffix.lower() == ".parquet" and file.name not in METADATA]
    if not shards:
        return ClassFolders(origin, *find_layout(origin, folder, files))
    found = sort_shards(origin, folder, shards)
    pictures = sum(map(is_image, files))
    note = f"{pictures} image files beside the Parquet files of '{origin}' are not read"
    return ParquetFiles(origin, found.splits, (*found.notes, *((note,) if pictures else ())))
