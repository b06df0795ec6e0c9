"""Tables of image files, read in batches through the `datasets` library."""

from __future__ import annotations

import glob
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from edgerift.errors import DataError

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "fine_label", "labels", "class", "target")
GROUP_COLUMNS = ("track", "group")
BATCH = 512


class Rows(NamedTuple):
    """Some rows of a table: encoded image files (bytes, or where they lie), raw labels, raw groups."""

    files: list[bytes | Path | None]
    labels: list[Any]
    groups: list[Any] | None


class Table:
    """One split of a source, read row by row without a copy on the disk."""

    def __init__(self, origin: str, dataset: Any) -> None:
        """Wrap a streaming `datasets` table; raises `DataError` where it has no image or label column."""
        columns = list(dataset.features)
        self._image = _column(origin, "image", IMAGE_COLUMNS, columns)
        self._label = _column(origin, "label", LABEL_COLUMNS, columns)
        self._group = next((name for name in GROUP_COLUMNS if name in columns), None)
        self._origin = origin
        self._dataset = dataset
        self.names = _class_names(dataset.features[self._label])

    def rows(self) -> Iterator[Rows]:
        """Yield all rows in order; raises `DataError` where the files cannot be read."""
        import datasets

        wanted = [name for name in (self._image, self._label, self._group) if name is not None]
        with _readable(self._origin):
            table = self._dataset.select_columns(wanted)
            table = table.cast_column(self._image, datasets.Image(decode=False)).with_format("arrow")
            batches = table.iter(batch_size=BATCH)
        while True:
            with _readable(self._origin):
                batch = next(batches, None)
                if batch is None:
                    return
                rows = self._rows(batch)
            yield rows

    def _rows(self, batch: Any) -> Rows:
        files = [_file(cell) for cell in batch.column(self._image).to_pylist()]
        groups = None if self._group is None else batch.column(self._group).to_pylist()
        return Rows(files, batch.column(self._label).to_pylist(), groups)


def open_parquet(origin: str, files: Sequence[Path]) -> Table:
    """Open Parquet shards, in the order given, as one table; raises `DataError` where they hold no rows."""
    names = [glob.escape(str(file.absolute())) for file in files if _row_count(file)]
    if not names:
        raise DataError(f"{origin} has no images; give a source that holds some")
    with _readable(origin):
        from datasets.packaged_modules.parquet.parquet import Parquet

        return Table(origin, _streamed(Parquet(data_files={"train": names})))


def open_image_folder(origin: str, folder: Path) -> Table:
    """Open a folder of class folders; the folder that holds an image names its class.

    Raises `DataError` where an image lies in none of them.
    """
    pattern = f"{glob.escape(str(folder.absolute()))}/**"
    with _readable(origin):
        from datasets.packaged_modules.imagefolder.imagefolder import ImageFolder

        table = Table(origin, _streamed(ImageFolder(data_files={"train": pattern}, drop_labels=False)))
    if table.names is not None and folder.name in table.names and not (folder / folder.name).is_dir():
        raise DataError(f"{origin} has images beside its class folders; move each into its class folder")
    return table


def _streamed(builder: Any) -> Any:
    """Open a reader's rows; `load_dataset` would do the same, but tells the hub about it first."""
    return builder.as_streaming_dataset(split="train")


def _row_count(file: Path) -> int:
    """Count the rows that a Parquet file's footer promises."""
    import pyarrow.parquet

    try:
        return int(pyarrow.parquet.read_metadata(file).num_rows)
    except (OSError, ValueError) as error:
        raise DataError(f"'{file}' is no whole Parquet file ({_first_line(error)}); copy it again") from error


@contextmanager
def _readable(origin: str) -> Iterator[None]:
    """Turn what the library raises into a `DataError`, and keep it from logging the same thing."""
    from datasets.exceptions import DatasetsError

    logger = logging.getLogger("datasets")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    except (OSError, ValueError, NotImplementedError, TypeError, DatasetsError) as error:
        raise DataError(f"{origin} cannot be read ({_first_line(error)}); copy the damaged file again") from error
    finally:
        logger.setLevel(level)


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")[:200]


def _column(origin: str, kind: str, allowed: Sequence[str], columns: Sequence[str]) -> str:
    found = next((name for name in allowed if name in columns), None)
    if found is None:
        raise DataError(
            f"{origin} has no {kind} column; it has {', '.join(columns)}; call it one of {', '.join(allowed)}"
        )
    return found


def _class_names(feature: Any) -> tuple[str, ...] | None:
    names = getattr(feature, "names", None)
    return tuple(str(name) for name in names) if names else None


def _file(cell: dict[str, Any] | None) -> bytes | Path | None:
    if cell is None:
        return None
    content, path = cell["bytes"], cell["path"]
    if content is not None:
        return bytes(content)
    return None if path is None else Path(path)
