"""From a user's name to the source it means."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from edgerift.errors import DataError, unknown_name
from edgerift.images._content import Source
from edgerift.images._digits import Digits
from edgerift.images._folder import open_folder
from edgerift.images._hub import fetch
from edgerift.images._npz import NpzFile
from edgerift.images._set import Augmentation
from edgerift.images._walk import LONGEST, check_text, printable


class Known(NamedTuple):
    """An image set with a short name: its hub dataset, the folder in it, and its label-preserving augmentation."""

    repository: str
    config: str | None
    augmentation: Augmentation


class Located(NamedTuple):
    """A source that was found, with the name and the augmentation its image sets get."""

    name: str
    source: Source
    augmentation: Augmentation


DIGITS = "digits"
KNOWN = {
    "mnist": Known("ylecun/mnist", None, Augmentation(crop=2)),
    "fashion_mnist": Known("zalando-datasets/fashion_mnist", None, Augmentation(flip=True, crop=2)),
    "cifar10": Known("uoft-cs/cifar10", None, Augmentation(flip=True, crop=4)),
    "cifar100": Known("uoft-cs/cifar100", None, Augmentation(flip=True, crop=4)),
    "svhn": Known("ufldl-stanford/svhn", "cropped_digits", Augmentation(crop=2)),
    "gtsrb": Known("tanganke/gtsrb", None, Augmentation(crop=2)),
}


def locate(source: str, root: Path | None) -> Located:
    """Find what `source` means, in the order that `load` documents; or raise `DataError`."""
    if source == DIGITS:
        return Located(DIGITS, Digits(), Augmentation(crop=2))
    check_text(source)
    root = _root(root)
    if source in KNOWN:
        return _known(source, root)
    path = _existing(source, root)
    if path is not None:
        return _local(source, path)
    if _is_path(source):
        raise DataError(f"there is no image folder or .npz file '{printable(source)}'; check the path")
    parts = source.split("/")
    if len(parts) == 1:
        raise DataError(
            f"{unknown_name('image set', source, [DIGITS, *KNOWN])}; "
            "or give a folder, an .npz file or a hub id owner/name"
        )
    return _hub("/".join(parts[:2]), parts[2] if len(parts) == 3 else None)


def _known(name: str, root: Path | None) -> Located:
    known = KNOWN[name]
    places = [] if root is None else [root / name, root / known.repository]
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        folder = fetch(known.repository, known.config, name)
    return Located(name, open_folder(name, folder, known.config), known.augmentation)


def _local(source: str, path: Path) -> Located:
    origin = printable(source)
    if path.is_dir():
        known = _by_repository(source)
        config = None if known is None else known.config
        augmentation = Augmentation() if known is None else known.augmentation
        return Located(printable(path.resolve().name), open_folder(origin, path, config), augmentation)
    if path.suffix.lower() == ".npz" and path.is_file():
        return Located(printable(path.stem), NpzFile(origin, path), Augmentation())
    raise DataError(f"'{origin}' is a file of another kind; give a folder or an .npz file")


def _hub(repository: str, config: str | None) -> Located:
    known = _by_repository(repository)
    config = config or (None if known is None else known.config)
    folder = fetch(repository, config, repository)
    augmentation = Augmentation() if known is None else known.augmentation
    return Located(repository, open_folder(repository, folder, config), augmentation)


def _by_repository(repository: str) -> Known | None:
    return next((known for known in KNOWN.values() if known.repository == repository), None)


def _root(root: Path | None) -> Path | None:
    chosen = root or os.environ.get("EDGERIFT_DATA") or None
    if chosen is None:
        return None
    folder = _expanded(chosen)
    if folder is None or not _there(folder) or not folder.is_dir():
        raise DataError(f"the data root {str(chosen)!r} is no folder; give the folder that holds the image sets")
    return folder


def _existing(source: str, root: Path | None) -> Path | None:
    places = [_expanded(source)] if root is None else [root / source, _expanded(source)]
    return next((place for place in places if source and place is not None and _there(place)), None)


def _expanded(path: str | Path) -> Path | None:
    """Put the home folder for `~`; none where there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return None


def _there(path: Path) -> bool:
    """Return whether a path exists; an impossible one, such as one that is too long, does not."""
    try:
        return path.exists()
    except PermissionError as error:
        raise DataError(f"{str(path)!r} cannot be read ({error.strerror}); check that you may read it") from error
    except (OSError, ValueError):
        return False


def _is_path(source: str) -> bool:
    """Return whether a name that does not exist can only be a path."""
    parts = source.split("/")
    if not source.isprintable() or len(source) > LONGEST:
        return True
    return source.endswith(".npz") or "\\" in source or len(parts) > 3 or not all(parts) or parts[0] in (".", "..", "~")
