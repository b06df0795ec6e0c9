"""The class folders of each split, and the class of each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from edgerift.errors import DataError
from edgerift.images._formats import is_image
from edgerift.images._walk import files_below, subfolders
from edgerift.images._words import HELD_OUT, split_name, split_words

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".xz", ".bz2", ".7z", ".rar")


class Layout(NamedTuple):
    """The folder of class folders of `"train"` and perhaps of `"test"`, and the decisions about the others."""

    splits: Mapping[str, Path]
    notes: tuple[str, ...]


class Members(NamedTuple):
    """The images of a folder of class folders, in order, each with its class; all classes, and the decisions."""

    images: tuple[tuple[Path, str], ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def find_layout(origin: str, folder: Path, files: Sequence[Path]) -> Layout:
    """Find the splits of a folder with these files below it; see `open_folder`.

    A folder is a split where its whole name says so and it holds class folders. Raises `DataError` where there is
    nothing to read, and where names and contents contradict each other.
    """
    inner = _Inner(folder, files)
    found: dict[str, list[str]] = {}
    for name in inner.holders:
        split = split_name(name)
        if split is not None:
            found.setdefault(split, []).append(name)
    if not found:
        _check_flat(origin, folder, inner)
        return Layout({"train": folder}, ())
    return _split_layout(origin, folder, inner, found)


def list_members(origin: str, folder: Path) -> Members:
    """List the images of a folder of class folders: the first folder below it names the class.

    Images are in the order of their paths and classes in that of their names; an empty folder is a class
    without images. Raises `DataError` where an image lies in no class folder, and for a folder whose files are
    no images.
    """
    files = files_below(folder)
    relative = {file: file.relative_to(folder).parts for file in files}
    images = sorted((file for file in files if is_image(file)), key=Path.as_posix)
    if any(len(relative[file]) == 1 for file in images):
        raise DataError(f"{origin} has images beside its class folders; move each into its class folder")
    classes = tuple(inner.name for inner in subfolders(folder))
    filled = {relative[file][0] for file in images}
    others = [file for file in files if len(relative[file]) > 1 and not is_image(file)]
    for file in others:
        if relative[file][0] not in filled:
            raise DataError(
                f"{origin} has the folder {relative[file][0]!r} with files that are no images, such as "
                f"{str(file)!r}; convert them to PNG, or move the folder away"
            )
    return Members(tuple((file, relative[file][0]) for file in images), classes, _unread(origin, folder, files, others))


def _unread(origin: str, folder: Path, files: Sequence[Path], others: Sequence[Path]) -> tuple[str, ...]:
    notes = []
    metadata = [file for file in files if file.name in METADATA]
    if metadata:
        notes.append(f"{str(metadata[0])!r} is not read: the class folders name the classes")
    archives = [file for file in files if file.parent == folder and file.suffix.lower() in _ARCHIVES]
    if archives:
        notes.append(f"{str(archives[0])!r} is not read: only what is unpacked counts")
    strange = [file for file in others if file.name not in METADATA]
    if strange:
        notes.append(
            f"{len(strange)} files in the class folders of {origin} are not read: by their names they are no images, "
            f"such as {str(strange[0])!r}"
        )
    return tuple(notes)


class _Inner:
    """The folders in a folder by their content: class folders, images, or neither."""

    def __init__(self, folder: Path, files: Sequence[Path]) -> None:
        parts = [file.relative_to(folder).parts for file in files if is_image(file)]
        self.direct = sorted({path[0] for path in parts if len(path) == 2})
        deep = {path[0] for path in parts if len(path) > 2}
        self.holders = sorted(deep - set(self.direct))
        self.archives = [file.name for file in files if file.suffix.lower() in _ARCHIVES]


def _split_layout(origin: str, folder: Path, inner: _Inner, found: Mapping[str, Sequence[str]]) -> Layout:
    splits = {name for names in found.values() for name in names}
    others = [name for name in (*inner.direct, *inner.holders) if name not in splits]
    held_out = next((split for split in HELD_OUT if split in found), None)
    flat = next((name for name in others if split_name(name)), None)
    if flat is not None and (held_out is None or "train" not in found):
        raise DataError(
            f"'{origin}' holds no Parquet files and {flat}/ no class folders with images; "
            "give a folder with train.parquet, train/<class>/ or <class>/ in it"
        )
    if others and (held_out is None or "train" not in found):
        raise DataError(
            f"'{origin}' has folders that read like splits ({', '.join(sorted(splits))}) beside others with images "
            f"({_few(others)}); name the splits train and test, or give a folder with class folders alone"
        )
    if "train" not in found:
        raise DataError(f"'{origin}' has no training images; it has {', '.join(sorted(splits))}")
    chosen = {"train": _one(origin, found["train"])}
    if held_out is not None:
        chosen["test"] = _one(origin, found[held_out])
    unused = sorted({*splits, *others} - set(chosen.values()))
    note = f"the images of '{origin}' in {_few(unused)} are neither trained nor judged on"
    return Layout({split: folder / name for split, name in chosen.items()}, (note,) if unused else ())


def _one(origin: str, names: Sequence[str]) -> str:
    """Return the folder of a split: two are two copies, or two sets."""
    if len(names) > 1:
        raise DataError(f"'{origin}' names one split in {len(names)} ways, {' and '.join(names)}; keep one folder")
    return names[0]


def _check_flat(origin: str, folder: Path, inner: _Inner) -> None:
    """Refuse a folder whose folders are no classes."""
    if not inner.direct and not inner.holders:
        archive = f"unpack {inner.archives[0]!r}, or " if inner.archives else ""
        raise DataError(
            f"'{origin}' holds no Parquet files and {folder.name}/ no class folders with images; "
            f"{archive}give a folder with train.parquet, train/<class>/ or <class>/ in it"
        )
    if not inner.direct and len(inner.holders) == 1:
        raise DataError(
            f"'{origin}' holds one folder, {inner.holders[0]!r}, with folders of images in it; "
            f"give {f'{origin}/{inner.holders[0]}'!r}"
        )
    words = {split: name for name in inner.holders for split in split_words(name)}
    if "train" in words and len(words) > 1:
        raise DataError(
            f"'{origin}' has folders that read like splits ({_few(sorted(set(words.values())))}); "
            "call them train and test, and each holds its class folders"
        )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
