"""Tables of image files, read in batches."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from edgerift.errors import DataError, first_line
from edgerift.images._layout import list_members
from edgerift.images._walk import printable

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "fine_label", "labels", "class", "target")
GROUP_COLUMNS = ("track", "group")
BATCH = 512
MOST_BYTES = 2**31
"""What the images of one row group may take once they are unpacked; Arrow's own limit of one column."""
BYTES_AT_ONCE = 2**28


class Rows(NamedTuple):
    """Some rows of a table: encoded image files (bytes, or where they lie), raw labels, raw groups."""

    files: list[bytes | Path | None]
    labels: list[Any]
    groups: list[Any] | None


class Table(ABC):
    """One split of a source, read row by row: its class names where it has some, and what was decided about it."""

    names: tuple[str, ...] | None
    notes: tuple[str, ...]

    @abstractmethod
    def rows(self) -> Iterator[Rows]:
        """Yield all rows in order; raises `DataError` where the files cannot be read."""


class FolderTable(Table):
    """A folder of class folders."""

    def __init__(self, origin: str, folder: Path) -> None:
        """List the files; raises `DataError` where they are not all in class folders."""
        members = list_members(origin, folder)
        self._images = members.images
        self.names = members.classes
        self.notes = members.notes

    def rows(self) -> Iterator[Rows]:
        """Yield where the images lie, and the names of their classes."""
        for start in range(0, len(self._images), BATCH):
            files, labels = zip(*self._images[start : start + BATCH], strict=True)
            yield Rows(list(files), list(labels), None)


class ParquetTable(Table):
    """Parquet shards, in the order given, as one table; columns that only some of them have are not read."""

    def __init__(self, origin: str, files: Sequence[Path]) -> None:
        """Read what the files say of themselves.

        Raises `DataError` where they hold no rows, have no image or label column, or disagree about them.
        """
        shards = [shard for shard in (_open_shard(origin, file) for file in files) if shard.rows]
        if not shards:
            raise DataError(f"{origin} has no images; give a source that holds some")
        self._origin, self._shards = origin, shards
        self.names = _one_list(origin, shards)
        self.notes = _other_labels(origin, shards[0])

    def rows(self) -> Iterator[Rows]:
        """Yield the rows of one shard after the other."""
        import pyarrow.parquet

        for shard in self._shards:
            columns = [name for name in (shard.image, shard.label, shard.group) if name is not None]
            with _readable(shard.file), shard.file.open("rb") as stream:
                for batch in pyarrow.parquet.ParquetFile(stream).iter_batches(shard.at_once, columns=columns):
                    yield _rows(batch, shard)


class _Shard(NamedTuple):
    """What a Parquet file says of itself."""

    file: Path
    rows: int
    at_once: int
    image: str
    label: str
    group: str | None
    columns: tuple[str, ...]
    names: tuple[str, ...] | None


def _open_shard(origin: str, file: Path) -> _Shard:
    """Read a Parquet file's footer and schema."""
    import pyarrow.parquet

    try:
        with file.open("rb") as stream:  # Arrow would take a name for the address of another machine.
            metadata = pyarrow.parquet.read_metadata(stream)
        schema = metadata.schema.to_arrow_schema()
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise DataError(f"{str(file)!r} is no whole Parquet file ({_reason(error)}); copy it again") from error
    columns = tuple(schema.names)
    if not metadata.num_rows:
        return _Shard(file, 0, BATCH, "", "", None, columns, None)
    image = _column(origin, file, "image", IMAGE_COLUMNS, columns)
    label = _column(origin, file, "label", LABEL_COLUMNS, columns)
    group = next((name for name in GROUP_COLUMNS if name in columns), None)
    largest = _largest_chunk(metadata, image)
    if largest > MOST_BYTES:
        raise DataError(
            f"{str(file)!r} unpacks to {largest / 2**30:.1f} GiB of images in one row group; "
            f"{MOST_BYTES // 2**30} GiB are allowed: write it with smaller row groups"
        )
    at_once = max(1, min(BATCH, BYTES_AT_ONCE // max(largest, 1)))
    names = _class_names(schema.metadata or {}, label)
    return _Shard(file, int(metadata.num_rows), at_once, image, label, group, columns, names)


def _largest_chunk(metadata: Any, column: str) -> int:
    """Return how many bytes the cells of a column take in the largest row group, as the footer has it."""
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    chunks = [[group.column(index) for index in range(group.num_columns)] for group in groups]
    sizes = [
        sum(int(chunk.total_uncompressed_size) for chunk in group if chunk.path_in_schema.partition(".")[0] == column)
        for group in chunks
    ]
    return max(sizes, default=0)


def _column(origin: str, file: Path, kind: str, allowed: Sequence[str], columns: Sequence[str]) -> str:
    found = next((name for name in allowed if name in columns), None)
    if found is None:
        raise DataError(
            f"{origin} has no {kind} column; it has {', '.join(columns)}; call it one of {', '.join(allowed)} "
            f"in {file.name!r}"
        )
    return found


def _class_names(metadata: dict[bytes, bytes], label: str) -> tuple[str, ...] | None:
    """Return the class names that the `datasets` library keeps in a schema, and none where there are none."""
    try:
        names = json.loads(metadata[b"huggingface"])["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return tuple(str(name) for name in names) if isinstance(names, list) and names else None


def _one_list(origin: str, shards: Sequence[_Shard]) -> tuple[str, ...] | None:
    """Return the class names of all shards; raises `DataError` where a number means two things in them."""
    named = [shard for shard in shards if shard.names]
    first = shards[0]
    for shard in shards:
        for what, value, other in (
            ("labels", shard.label, first.label),
            ("groups", shard.group, first.group),
            ("class names", shard.names, named[0].names if shard.names else None),
        ):
            if value != other:
                raise DataError(
                    f"{origin} has other {what} in {shard.file.name!r} than in {first.file.name!r}; "
                    "write both in the same way"
                )
    return named[0].names if named else None


def _other_labels(origin: str, shard: _Shard) -> tuple[str, ...]:
    """Say which labels are read where a file has more than one kind."""
    known = (*LABEL_COLUMNS, "coarse_label")
    others = [name for name in shard.columns if name in known and name not in (shard.label, shard.image)]
    return (f"the labels of {origin} are its column {shard.label!r}, not {', '.join(others)}",) if others else ()


def _rows(batch: Any, shard: _Shard) -> Rows:
    import datasets

    cells = datasets.Image(decode=False).cast_storage(batch.column(shard.image)).to_pylist()
    # A path alone is none: what lies there is not in the fingerprint.
    files = [None if cell is None else cell["bytes"] for cell in cells]
    groups = None if shard.group is None else batch.column(shard.group).to_pylist()
    return Rows(files, batch.column(shard.label).to_pylist(), groups)


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Turn what the library raises into a `DataError`."""
    import pyarrow

    try:
        yield
    except DataError:
        raise
    except (OSError, ValueError, TypeError, OverflowError, pyarrow.ArrowException) as error:
        raise DataError(f"{str(file)!r} cannot be read ({_reason(error)}); copy it again") from error


def _reason(error: BaseException) -> str:
    return printable(first_line(error).rstrip("."))
